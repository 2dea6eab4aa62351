"""A task: one row of a task set, in the words of the rest of the program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from providers.messages import JSON, Message, Tool


@dataclass(frozen=True, slots=True)
class Task:
    task_id: str
    messages: Sequence[Message]
    target: JSON = None
    tools: Sequence[Tool] = ()
    task_type: str = "default"
    difficulty: str = "default"
    family: str = ""
    """Tasks that are variations of one another: the cluster of the statistics."""
    metadata: Mapping[str, JSON] | None = None


class TaskSet(Protocol):
    """Random access by row, so that shards never wait for each other's reading.

    `fingerprint` covers the rows' bytes and how they are read. `kinds` gives (task_type, difficulty) of a row without reading it.
    """

    fingerprint: str
    scorer: str | None
    """The scorer that this task set asks for; None for the run's own."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> Task: ...

    def kind(self, row: int) -> tuple[str, str]: ...
