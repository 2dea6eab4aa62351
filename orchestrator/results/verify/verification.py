"""What a run directory holds, proven from its files: every planned sample at most once, nothing else, and every byte readable.

Needs no tasks, no configuration file and no keys. Changes nothing, and works beside a live run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from providers.messages import JSON
from runners.journal.sinks.sink import UNRESOLVED

Kind = Literal["manifest", "journal", "part", "unresolved", "foreign"]
REMEDIES: Mapping[Kind, str] = {
    "manifest": "restore it from a copy",
    "journal": "a resume runs its sample again",
    "part": "`resume --repair` sets the file aside, keeps what can be read of it and runs the rest again",
    "unresolved": "a resume writes the file anew",
    "foreign": "move it out of the run directory",
}


@dataclass(frozen=True, slots=True)
class Damage:
    kind: Kind
    file: str
    """Within the run directory."""
    where: str
    """Line or row group; empty where it is about the whole file."""
    what: str
    part: int = UNRESOLVED

    @property
    def remedy(self) -> str:
        return REMEDIES[self.kind]

    @property
    def place(self) -> str:
        return f"{self.file}, {self.where}" if self.where else self.file

    def __str__(self) -> str:
        return f"{self.place}: {self.what}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Pending:
    """A sample without a final record."""

    ordinal: int
    model: str
    prompt_type: str
    tool_success_rate: float
    epoch: int
    task: int
    """Its place among the tasks, from 0."""
    outcome: str | None
    """Of its last record; None where it was never run."""


@dataclass(frozen=True, slots=True)
class Verification:
    run_id: str
    total: int
    final: int
    in_journal: int
    """Final records that are in no result part yet."""
    waiting: Mapping[str, int]
    """Samples whose last record is not final, by outcome."""
    never_run: int
    first_pending: Sequence[Pending]
    damages: Sequence[Damage]

    @property
    def is_sound(self) -> bool:
        return not self.damages

    @property
    def pending(self) -> int:
        return self.total - self.final

    def to_json(self) -> dict[str, JSON]:
        own = {**asdict(self), "damages": [{**asdict(one), "remedy": one.remedy} for one in self.damages]}
        return {**own, "pending": self.pending, "is_sound": self.is_sound, "is_complete": not self.pending}
