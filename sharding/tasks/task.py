"""The task, which is one row of a task set, and the protocol of task sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from providers.messages import JSON, Message, Tool


@dataclass(frozen=True, slots=True)
class Task:
    """A problem for a model: messages, tools and the expected result."""

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
    """Name that variants of one task share; the statistics use it as the cluster."""
    metadata: Mapping[str, JSON] | None = None
    """Further fields of the row that solvers and scorers may read."""
    parameters: Mapping[str, JSON] | None = None
    """Parameters of generation that the row sets for itself, as in a line of an OpenAI Batch file."""
    columns: Mapping[str, JSON] = field(default_factory=dict, repr=False, compare=False)
    """The row with every column of the file, for prompts, solvers and scorers; `choices` where `fields` names it."""


class TaskSet(Protocol):
    """Tasks of one or several files with random access by row, so that shards never wait for each other's reading."""

    @property
    def fingerprint(self) -> str:
        """Digest of the files' bytes and the way of reading them."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> Task: ...

    def kind(self, row: int) -> tuple[str, str]:
        """Return the row's task type and difficulty without reading the row."""
        ...

    def kinds(self) -> Iterator[tuple[str, str]]:
        """Yield the kind of every row, in order; much faster than `kind` for each row."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """Sentences about what the files hold and a run does not use."""
        ...

    def scorer(self, row: int) -> str | None:
        """Return the scorer that is set for the row's file; None for the run's scorer."""
        ...

    @property
    def is_bound(self) -> bool:
        """Whether some tasks are for some models only."""
        ...

    def models(self, row: int) -> Sequence[str] | None:
        """Return the models that get the row's task; None for all."""
        ...

    @property
    def declares_results(self) -> bool:
        """Whether a task declares the results of its tools."""
        ...

    def unusual_targets(self) -> Iterable[int]:
        """Return the rows whose target is no text, or an empty one."""
        ...

    def origin(self, row: int) -> str:
        """Return the row's file and line, for messages: "tasks/a.jsonl, line 731"."""
        ...

    @property
    def close(self) -> Callable[[], object]:
        """Closes the files."""
        ...
