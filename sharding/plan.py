"""Samples, shards and the plan, which assigns samples to instances before anything is sent and never changes afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .tasks.task import Task


@dataclass(frozen=True, slots=True)
class Cell:
    """A combination of model, prompt type and tool success rate."""

    model: str
    prompt_type: str
    tool_success_rate: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One unit of work: a task for a model with a prompt type, in one epoch."""

    ordinal: int
    """Position in the plan; queues, work stealing and the bitmap of finished samples use it."""
    sample_id: str
    """Digest of cell, task and epoch; the same in every run of one configuration."""
    task: Task
    """The task with the prompt type applied."""
    cell: Cell
    """The model, the prompt type and the tool success rate."""
    epoch: int
    """Number of the repetition, from 0."""
    seed: int
    """Derived from task and epoch; the same for every model and prompt type."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The samples of one instance in one stage."""

    instance: str
    ordinals: Sequence[range]
    start_after_s: float
    """Seconds after the start of the stage."""

    def __len__(self) -> int:
        return sum(len(part) for part in self.ordinals)


class Plan(Protocol):
    """All shards of a run, by stage, and access to their samples."""

    @property
    def fingerprint(self) -> str:
        """Digest of tasks, prompts, models, generation, solver, scorer, tools, seed, epochs and axes.

        Keys, instances, rates, workers, stagger and output are excluded, so a resume may change them.
        """
        ...

    @property
    def stages(self) -> Sequence[Sequence[Shard]]:
        """The shards of each stage."""
        ...

    def sample(self, ordinal: int) -> Sample:
        """Read the task of an ordinal and build its sample."""
        ...
