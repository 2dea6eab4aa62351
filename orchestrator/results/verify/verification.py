"""Verification of a run directory: every planned sample at most once, no other sample, and every byte readable.

It needs no tasks, no configuration file and no keys. It changes nothing and also works while the run is active.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from providers.messages import JSON
from runners.journal.sinks.sink import UNRESOLVED

Kind = Literal["manifest", "journal", "part", "unresolved", "foreign"]
"""The kinds of damage: by file, or `foreign` for records that do not belong to the run."""
REMEDIES: Mapping[Kind, str] = {
    "manifest": "restore it from a copy",
    "journal": "a resume runs its sample again",
    "part": "`resume --repair` sets the file aside, keeps what can be read of it and runs the rest again",
    "unresolved": "a resume writes the file anew",
    "foreign": "move it out of the run directory",
}


@dataclass(frozen=True, slots=True)
class Damage:
    """One damage of a run directory."""

    kind: Kind
    file: str
    """The path within the run directory."""
    where: str
    """The line or row group; empty where the whole file is concerned."""
    what: str
    """The description of the damage."""
    part: int = UNRESOLVED
    """The number of the result part."""

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return REMEDIES[self.kind]

    @property
    def place(self) -> str:
        """The file, with the line or row group where there is one."""
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
    """The position of its task in the task list, from 0."""
    outcome: str | None
    """The outcome of its last record; None where it was never run."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a verification."""

    run_id: str
    total: int
    """Planned samples."""
    final: int
    """Samples with a final record."""
    in_journal: int
    """Final records that are not yet in a result part."""
    waiting: Mapping[str, int]
    """The number of samples whose last record is not final, by outcome."""
    never_run: int
    first_pending: Sequence[Pending]
    """The first samples without a final record."""
    damages: Sequence[Damage]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged. A run may be sound and unfinished."""
        return not self.damages

    @property
    def pending(self) -> int:
        """The number of samples without a final record."""
        return self.total - self.final

    def to_json(self) -> dict[str, JSON]:
        """Return the document that `verify --json` prints."""
        damages = [{**asdict(damage), "remedy": damage.remedy} for damage in self.damages]
        return {
            **asdict(self),
            "damages": damages,
            "pending": self.pending,
            "is_sound": self.is_sound,
            "is_complete": not self.pending,
        }
