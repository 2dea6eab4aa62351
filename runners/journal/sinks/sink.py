"""The Sink protocol and the names that its two implementations share; `open_sink.py` chooses between them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from ...samples.bitmap import Bitmap

Row = Mapping[str, Any]
StorageFormat = Literal["parquet", "json"]
UNRESOLVED = 0
"""The part number of what is in no part."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A stretch of a results file as it was read back: its rows, or why they cannot be read."""

    file: str
    part: int
    where: str = ""
    """Within the file; empty where it is about all of it."""
    rows: Sequence[Sequence[Any]] = ()
    """The columns that were asked for, in their order."""
    fault: str | None = None


class Sink(Protocol):
    """Final rows go into parts that only `repair` and `withdraw` rewrite; the others stand in one file that is replaced as a whole."""

    def write_part(self, number: int, rows: Iterable[Row]) -> None:
        """Durable when it returns. Numbers rise."""
        ...

    def last_part(self) -> int:
        """The highest number written; 0 before the first."""
        ...

    def write_unresolved(self, rows: Iterable[Row]) -> None: ...

    def ordinals(self) -> Iterator[int]:
        """Of all final rows, for a resume."""
        ...

    def examine(self, columns: Sequence[str]) -> Iterator[Batch]:
        """Read back every byte of every part, then of what is unresolved, and say what cannot be read. Changes nothing."""
        ...

    def repair(self, numbers: Collection[int], known: Bitmap) -> list[Path]:
        """Set the files of these parts aside as they are, and write anew what can be read of them and is not `known`,
        which are the ordinals of all other parts. Returns the files that were set aside."""
        ...

    def withdraw(self, is_superseded: Callable[[Row], bool], keep: Callable[[int, Sequence[Row]], None]) -> None:
        """Write every part anew, atomically, without the rows that are superseded. `keep` gets these first, by the number of their
        part, and stores them durably: a crash leaves a row in both places, never in none."""
        ...


def set_aside_name(path: Path) -> Path:
    """`NAME.damaged`, or the first of `NAME.damaged.2` … that is free: nothing is ever written over."""
    aside, number = path.with_name(f"{path.name}.damaged"), 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged.{number}")
    return aside
