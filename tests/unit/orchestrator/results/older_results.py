"""Results as a version wrote them that did not know the last columns of Record yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow.parquet as pq

from runners.journal.sinks.sink import Sink

LATER_COLUMNS = ["reasoning_text", "adaptation", "tool_unreadable"]


def older_row(row: Mapping[str, object]) -> dict[str, object]:
    """The row without the later columns."""
    return {name: value for name, value in row.items() if name not in LATER_COLUMNS}


def write_older_part(sink: Sink, results: Path, number: int, rows: Iterable[Mapping[str, object]]) -> None:
    """Write a part that has no later columns."""
    sink.write_part(number, [older_row(row) for row in rows])
    path = results / f"part-{number:06d}.parquet"
    if path.exists():
        pq.write_table(pq.read_table(path).drop_columns(LATER_COLUMNS), path, write_page_checksum=True)
        path.with_name(f".{path.name}.crc32").unlink()
