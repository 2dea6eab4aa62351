"""The records that are written to the journal together, and what is called when they are on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..samples.record import Record
from .frames import line_size

COMMIT_RECORDS = 256
COMMIT_BYTES = 4 << 20
"""Size of a group that is committed before it has COMMIT_RECORDS."""
BACKLOG_RECORDS = 4_096
BACKLOG_BYTES = 8 << 20
"""Uncommitted records, or their size, at which the workers wait for the disk: more than is committed at once."""


@dataclass(slots=True)
class CommitGroup:
    """Records that are committed together, and the callbacks to call then. They are encoded where they are written, one piece at a time."""

    records: list[Record] = field(default_factory=list)
    size: int = 0
    """About the bytes of their lines."""
    started: list[int] = field(default_factory=list)
    durable: list[Callable[[], None]] = field(default_factory=list)
    """What to call when the records are on disk."""

    def __bool__(self) -> bool:
        return bool(self.records or self.started)

    @property
    def is_full(self) -> bool:
        """Return whether the group is large enough to be committed at once."""
        return len(self.records) >= COMMIT_RECORDS or self.size >= COMMIT_BYTES

    @property
    def is_backlog(self) -> bool:
        """Return whether the group is so large that the workers wait for the disk."""
        return len(self.records) >= BACKLOG_RECORDS or self.size >= BACKLOG_BYTES

    def add(self, record: Record, on_durable: Callable[[], None]) -> bool:
        """Add a record; return whether the group is large enough to be committed at once."""
        self.records.append(record)
        self.durable.append(on_durable)
        self.size += line_size(record)
        return len(self.records) >= COMMIT_RECORDS or self.size >= COMMIT_BYTES

    def take(self) -> CommitGroup:
        """Take what is committed at once out of the group: all, or of long records the first COMMIT_BYTES."""
        taken = CommitGroup(started=self.started)
        self.started = []
        if self.size < 2 * COMMIT_BYTES:
            taken.records, taken.durable, taken.size = self.records, self.durable, self.size
            self.records, self.durable, self.size = [], [], 0
            return taken
        count = 0
        while taken.size < COMMIT_BYTES:
            taken.size += line_size(self.records[count])
            count += 1
        taken.records, taken.durable = self.records[:count], self.durable[:count]
        del self.records[:count], self.durable[:count]
        self.size -= taken.size
        return taken
