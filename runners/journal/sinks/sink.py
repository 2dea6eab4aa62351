"""The Sink protocol and the names that its two implementations share; `open_sink.py` chooses between them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from providers.messages import JSON

from ...samples.bitmap import Bitmap

Row = Mapping[str, object]
StorageFormat = Literal["parquet", "json"]
UNRESOLVED = 0
"""The part number of the unresolved rows, which are in no part."""

FREE_ON_A_HIT = frozenset({"input_tokens", "output_tokens", "cost_usd"})
"""Columns that nobody is billed for where `cache_hit` is true. It concerns the tested model alone: a judge may have been asked."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A section of a results file as it was read: its rows, or why they cannot be read."""

    file: str
    part: int
    where: str = ""
    """The position within the file; empty for the whole file."""
    rows: Sequence[Sequence[JSON]] = ()
    """The requested columns of each row, in their order."""
    fault: str | None = None


class Sink(Protocol):
    """The result files of a run. Final rows go into parts, which only `repair` and `withdraw` rewrite; the others into one file."""

    def write_part(self, number: int, rows: Iterable[Row]) -> None:
        """Write a part; it is durable on return. Numbers must increase."""
        ...

    def last_part(self) -> int:
        """Return the highest number written; 0 before the first."""
        ...

    def write_unresolved(self, rows: Iterable[Row]) -> None:
        """Replace the file of the unresolved rows."""
        ...

    def ordinals(self) -> Iterator[int]:
        """Yield the ordinals of all final rows, for a resume."""
        ...

    def totals(self, columns: Sequence[str], after: int) -> Mapping[str, float]:
        """Sum columns of numbers over the rows of the parts above `after`; null counts nothing, nor what is free on a hit.

        Where only a part came from the cache (some turns, a judge's answer), its tokens count too.
        """
        ...

    def examine(self, columns: Sequence[str]) -> Iterator[Batch]:
        """Read every byte of every part, then of the unresolved rows, and yield the rows and the faults. Changes nothing."""
        ...

    def repair(self, numbers: Collection[int], known: Bitmap) -> list[Path]:
        """Keep the files of these parts under a second name, and replace them by the rows that can be read and are not in `known`.

        `known` holds the ordinals of all other parts. A crash leaves each file as it was or replaced. Returns the kept files.
        """
        ...

    def withdraw(self, is_superseded: Callable[[Row], bool], keep: Callable[[int, Sequence[Row]], None]) -> None:
        """Rewrite every part atomically without its superseded rows.

        `keep` gets these first, with the number of their part, and stores them durably: a crash may leave a row in both places, but it
        never loses one.
        """
        ...
