"""A task: one row of a task set, in the words of the rest of the program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from providers.messages import JSON, Message, Tool


@dataclass(frozen=True, slots=True)
class Task:
    """One row of a task set: a question and the expected answer."""

    task_id: str
    """The name of the task, unique in its task set."""
    messages: Sequence[Message]
    """The question, in the OpenAI chat format."""
    target: JSON = None
    """The expected answer, in the form that the scorer reads; None where there is none."""
    tools: Sequence[Tool] = ()
    """The tools that are offered to the model, in the OpenAI format."""
    task_type: str = "default"
    """A column of the results that summaries group by."""
    difficulty: str = "default"
    """A column of the results that summaries group by."""
    family: str = ""
    """The name of a group of tasks that are variations of one another. The statistics treat a family as one cluster."""
    metadata: Mapping[str, JSON] | None = None
    """Further fields of the row that solvers and scorers may read."""


class TaskSet(Protocol):
    """Random access by row, so that shards never wait for each other's reading. One file, or several as one."""

    @property
    def fingerprint(self) -> str:
        """Covers the rows' bytes and how they are read."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> Task: ...

    def kind(self, row: int) -> tuple[str, str]:
        """The row's task type and difficulty, without reading it."""
        ...

    def kinds(self) -> Iterator[tuple[str, str]]:
        """Every row's kind, in order; much faster than asking row by row."""
        ...

    def scorer(self, row: int) -> str | None:
        """The scorer that the row's file asks for; None for the run's own."""
        ...

    def origin(self, row: int) -> str:
        """Where the row stands, for messages: "tasks/a.jsonl, line 731"."""
        ...

    def close(self) -> None: ...
