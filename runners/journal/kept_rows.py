"""The rows of the open segment, kept in memory so that its compaction need not read the file back.

They are what `rows` reads from the file: the records in their order, and after each group the mark with its commit time. A segment of
more than KEPT_BYTES is not kept, and after a crash nothing is: then the file is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from math import isfinite
from operator import attrgetter
from typing import cast

from ..samples.record import Record
from .frames import JournalRow

KEPT_BYTES = 32 << 20
"""Lines of a segment that are kept at most. Text with wide characters takes up to four times as much memory as its line."""
KEPT_GROUP_BYTES = 16 << 20
"""Lines of a group that is kept at most. A larger one waits for a slow disk, and the memory is needed for its lines."""

_NAMES = tuple(field.name for field in fields(Record))
_VALUES = attrgetter(*_NAMES)
_FLOATS = tuple(field.name for field in fields(Record) if str(field.type).startswith("float"))


@dataclass(frozen=True, slots=True)
class _CommittedGroup:
    """Records that were committed together."""

    records: Sequence[Record]
    committed_at: float


class KeptRows:
    """The committed rows of one segment, while their lines have `limit_bytes` at most. They can be iterated again if a compaction fails."""

    def __init__(self, number: int, limit_bytes: int = KEPT_BYTES) -> None:
        self.number = number
        """Of the segment."""
        self.is_complete = True
        """Whether all rows of the segment are kept; if not, none are."""
        self._groups: list[_CommittedGroup] = []
        self.size = 0
        """Bytes of the segment's lines."""
        self._limit_bytes = limit_bytes

    def add(self, records: Sequence[Record], size: int, committed_at: float) -> None:
        """Keep a group that is durable and whose lines have `size` bytes. Above KEPT_GROUP_BYTES its records are not needed."""
        self.size += size
        if size > KEPT_GROUP_BYTES or self.size > self._limit_bytes:
            self.is_complete = False
            self._groups.clear()
        if self.is_complete:
            self._groups.append(_CommittedGroup(records, committed_at))

    def __iter__(self) -> Iterator[JournalRow]:
        for group in self._groups:
            yield from map(row_of, group.records)
            yield {"committed": group.committed_at}


def row_of(record: Record) -> JournalRow:
    """Convert an encodable record to the row that is read from its line: JSON has null for a number that is not finite."""
    row: dict[str, object] = dict(zip(_NAMES, _VALUES(record), strict=True))
    for name in _FLOATS:
        value = row[name]
        if isinstance(value, float) and not isfinite(value):
            row[name] = None
    return cast("JournalRow", row)
