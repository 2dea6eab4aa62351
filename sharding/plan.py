"""Samples, shards and the plan: who does what, decided before anything is sent and never changed afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .tasks.task import Task


@dataclass(frozen=True, slots=True)
class Cell:
    model: str
    prompt_type: str
    tool_success_rate: float


@dataclass(frozen=True, slots=True)
class Sample:
    ordinal: int
    """Position in the plan: what queues, stealing and the done-bitmap work with."""
    sample_id: str
    """Digest of cell, task and epoch: the same in every run of one configuration."""
    task: Task
    """With the prompt type applied."""
    cell: Cell
    epoch: int
    """From 0."""
    seed: int
    """Of task and epoch: the same for every model and prompt type."""


@dataclass(frozen=True, slots=True)
class Shard:
    instance: str
    ordinals: Sequence[range]
    start_after_s: float
    """From the start of its stage."""

    def __len__(self) -> int:
        return sum(len(part) for part in self.ordinals)


class Plan(Protocol):
    @property
    def fingerprint(self) -> str:
        """Of tasks, prompts, models, generation, solver, scorer, tools, seed, epochs and axes; never of keys, instances, rates,
        workers, stagger or output: a resume may run on other keys."""
        ...

    @property
    def stages(self) -> Sequence[Sequence[Shard]]: ...

    def sample(self, ordinal: int) -> Sample: ...
