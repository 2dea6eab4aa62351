"""The Sink protocol, and the choice between its two implementations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

Row = Mapping[str, Any]
StorageFormat = Literal["parquet", "json"]


class Sink(Protocol):
    """Final rows go into parts that are never rewritten; the others stand in one file that is replaced as a whole."""

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


def open_sink(storage_format: StorageFormat, results: Path) -> Sink:
    """The sink over the folder `results`, which is made if it is not there."""
    results.mkdir(parents=True, exist_ok=True)
    if storage_format == "json":
        from .jsonl import JsonlSink

        return JsonlSink(results)
    from .parquet import ParquetSink

    return ParquetSink(results)
