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
    """One task for one model, prompt type, tool success rate and epoch: the unit that is solved, scored and recorded."""

    ordinal: int
    """The position in the plan, from 0. Queues, work stealing and the bitmap of finished samples use it."""
    sample_id: str
    """A digest of cell, task and epoch: the same in every run of one configuration."""
    task: Task
    """The task with the prompt type applied: `task.messages` are what the model is asked."""
    cell: Cell
    """The model, the prompt type and the tool success rate."""
    epoch: int
    """The number of the repetition, from 0."""
    seed: int
    """Derived from the run's seed, the task and the epoch: the same for every model and prompt type."""


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
