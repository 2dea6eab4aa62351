"""The Parquet sink: `part-000001.parquet` …, one per journal segment, and `unresolved.parquet`. Any Parquet reader can read the folder.

Pages have checksums, which show what of a damaged part can still be read; `.part-000001.parquet.crc32` holds the checksum of the whole
file, because the footer has none.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...durable import fsync_directory, replace_file, set_aside
from ...instants import instant_of
from ...samples.bitmap import Bitmap
from ..pieces import LONG_COLUMNS, in_pieces, text_size
from .record_table import add_later_columns, read_pieces, record_schema, record_table
from .sink import FREE_ON_A_HIT, UNRESOLVED, Batch, Row
from .table_rows import TableRows

LONG_VALUE_BYTES = 2_000
"""Mean size of a long column's values from which on they are not looked up in a dictionary."""

CHUNK_BYTES = 1 << 20


class ParquetSink:
    """The results as Parquet parts in one folder."""

    def __init__(self, results: Path) -> None:
        self._results = results
        self._schema = record_schema()

    def write_part(self, number: int, rows: Iterable[Row]) -> None:
        """Write a part; it is durable on return."""
        self._write_part(number, _tables(rows))

    def last_part(self) -> int:
        """Return the highest number written; 0 before the first."""
        return max(map(_number, self._parts()), default=0)

    def write_unresolved(self, rows: Iterable[Row]) -> None:
        """Replace the file of the unresolved rows."""
        replace_file(self._results / "unresolved.parquet", lambda file: self._write(file, _tables(rows)))

    def ordinals(self) -> Iterator[int]:
        """Yield the ordinals of all final rows."""
        for path in self._parts():
            for batch in pq.ParquetFile(path).iter_batches(columns=["ordinal"]):
                yield from batch.column(0).to_pylist()

    def totals(self, columns: Sequence[str], after: int) -> Mapping[str, float]:
        """Sum columns of numbers over the rows of the parts above `after`, but for what is free on a hit."""
        totals = dict.fromkeys(columns, 0)
        for path in self._parts():
            if _number(path) > after:
                for batch in pq.ParquetFile(path).iter_batches(columns=["cache_hit", *columns]):
                    asked = batch.filter(pc.invert(batch.column("cache_hit")))
                    for name in columns:
                        billed = asked if name in FREE_ON_A_HIT else batch
                        totals[name] += pc.sum(billed.column(name)).as_py() or 0
        return totals

    def examine(self, columns: Sequence[str]) -> Iterator[Batch]:
        """Read every byte and yield the rows and the faults."""
        for path in self._parts():
            written = _is_as_written(path)
            if written is not False:
                yield from _examine(path, columns, is_known=written is True)
            else:
                located = [batch for batch in _examine(path, columns) if batch.fault]
                yield from located or [
                    Batch(path.name, _number(path), fault="is not what was written: its checksum differs")
                ]
        unresolved = self._results / "unresolved.parquet"
        if unresolved.exists():
            yield from _examine(unresolved, columns)

    def repair(self, numbers: Collection[int], known: Bitmap) -> list[Path]:
        """Keep these parts under a second name, and replace them by their intact row groups, without the rows in `known`."""
        damaged = []
        for path in map(self._part, sorted(numbers)):
            damaged.append(set_aside(path))
            self._rewrite(path, _intact_tables(path, known))
        return damaged

    def withdraw(self, is_superseded: Callable[[Row], bool], keep: Callable[[int, Sequence[Row]], None]) -> None:
        """Rewrite the parts without the superseded rows, which `keep` stores first."""
        for path in self._parts():
            has_superseded = False
            for rows in in_pieces(filter(is_superseded, _journal_rows(path)), text_size):
                keep(_number(path), rows)
                has_superseded = True
            if has_superseded:
                self._rewrite(path, _tables(row for row in _journal_rows(path) if not is_superseded(row)))

    def _rewrite(self, path: Path, tables: Iterator[pa.Table]) -> None:
        """Delete the checksum, replace the part, write the new checksum: between these steps the pages' checksums apply.

        A part without rows is deleted before its checksum, which alone may show that it is damaged.
        """
        if (first := next(tables, None)) is None:
            path.unlink()
            fsync_directory(self._results)
            _checksum(path).unlink(missing_ok=True)
            return
        _checksum(path).unlink(missing_ok=True)
        fsync_directory(self._results)
        crc32 = 0

        def write(file: BinaryIO) -> None:
            nonlocal crc32
            summed = _ChecksummedFile(file)
            self._write(summed, chain([first], tables))
            crc32 = summed.crc32

        replace_file(path, write)
        replace_file(_checksum(path), lambda file: file.write(b"%08x\n" % crc32))

    def _parts(self) -> list[Path]:
        return sorted(self._results.glob("part-*.parquet"))

    def _part(self, number: int) -> Path:
        return self._results / f"part-{number:06d}.parquet"

    def _write_part(self, number: int, tables: Iterable[pa.Table]) -> None:
        path = self._part(number)

        def write(file: BinaryIO) -> None:
            summed = _ChecksummedFile(file)
            self._write(summed, tables)
            replace_file(_checksum(path), lambda file: file.write(b"%08x\n" % summed.crc32))

        replace_file(path, write)

    def _write(self, file: BinaryIO | _ChecksummedFile, tables: Iterable[pa.Table]) -> None:
        """Write each table as a row group."""
        tables = iter(tables)
        first = list(islice(tables, 1))
        options = {"compression": "zstd", "write_page_checksum": True, "use_dictionary": _repeating(first)}
        with pq.ParquetWriter(file, self._schema, **options) as writer:
            for table in chain(first, tables):
                writer.write_table(table)


def _repeating(tables: Sequence[pa.Table]) -> list[str]:
    """Return the columns that get a dictionary: not those of long texts, where it takes more time than all else of the writing."""
    long = {name for table in tables for name in LONG_COLUMNS if table[name].nbytes > LONG_VALUE_BYTES * table.num_rows}
    return [name for name in record_schema().names if name not in long]


class _ChecksummedFile:
    """A file that is written from its start, and the checksum of what was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.crc32 = 0
        self.closed = False
        self.tell, self.flush = file.tell, file.flush

    def write(self, data: bytes) -> int:
        self.crc32 = zlib.crc32(data, self.crc32)
        return self._file.write(data)


def _checksum(part: Path) -> Path:
    return part.with_name(f".{part.name}.crc32")


def _is_as_written(path: Path) -> bool | None:
    """Return whether the file matches its checksum; None if that is missing, as the pages have their own."""
    try:
        written = int(_checksum(path).read_bytes(), 16)
        crc32 = 0
        with path.open("rb") as file:
            while data := file.read(CHUNK_BYTES):
                crc32 = zlib.crc32(data, crc32)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return False
    return crc32 == written


def _tables(rows: Iterable[Row]) -> Iterator[pa.Table]:
    """Build a table per row group."""
    return map(record_table, in_pieces(rows, text_size))


def _journal_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a part in the form of the journal, with instants as text."""
    with pq.ParquetFile(path, memory_map=False) as file:
        for table in read_pieces(file, file.schema_arrow.names):
            for row in table.to_pylist():
                yield {name: instant_of(value) if isinstance(value, datetime) else value for name, value in row.items()}


def _number(path: Path) -> int:
    stem = path.name.partition(".")[0]
    return UNRESOLVED if stem == "unresolved" else int(stem.removeprefix("part-"))


def _examine(path: Path, columns: Sequence[str], *, is_known: bool = False) -> Iterator[Batch]:
    """Yield a batch per row group; all of its columns are read, unless it is known that every byte is as it was written."""
    part = _number(path)
    try:
        file = _opened(path)
    except (OSError, pa.ArrowException) as error:
        yield Batch(path.name, part, fault=f"cannot be read as Parquet ({_reason(error)})")
        return
    with file:
        missing = set(columns) - set(file.schema_arrow.names)
        if missing:
            yield Batch(path.name, part, fault=f"has no column {min(missing)}")
            return
        for number in range(file.num_row_groups):
            where = f"row group {number + 1} of {file.num_row_groups}"
            try:
                rows = TableRows(_row_group(file, number, columns if is_known else None).select(list(columns)))
            except (OSError, ValueError, pa.ArrowException) as error:
                yield Batch(path.name, part, where, fault=f"cannot be read ({_reason(error)})")
            else:
                yield Batch(path.name, part, where, rows)


def _intact_tables(path: Path, known: Bitmap) -> Iterator[pa.Table]:
    """Yield the rows of a damaged part that can be read and are not in `known`; none if the damage cannot be located."""
    is_certain = _is_as_written(path) is not False or any(batch.fault for batch in _examine(path, ["ordinal"]))
    try:
        file = _opened(path)
    except (OSError, pa.ArrowException):
        return
    with file:
        schema = record_schema()
        for number in range(file.num_row_groups if is_certain else 0):
            with suppress(OSError, ValueError, pa.ArrowException):
                table = add_later_columns(_row_group(file, number), schema.names).cast(schema)
                table = table.filter(pa.array([known.add(ordinal) for ordinal in table["ordinal"].to_pylist()]))
                if table.num_rows:
                    yield table


def _opened(path: Path) -> pq.ParquetFile:
    return pq.ParquetFile(path, memory_map=False, pre_buffer=False, page_checksum_verification=True)


def _row_group(file: pq.ParquetFile, number: int, columns: Sequence[str] | None = None) -> pa.Table:
    """Read columns of a row group, all by default. Raises OSError if the number of rows differs from the footer's."""
    table, rows = file.read_row_group(number, columns, use_threads=False), file.metadata.row_group(number).num_rows
    if table.num_rows != rows:
        raise OSError(f"{table.num_rows} rows, its footer says {rows}")
    return table


def _reason(error: Exception) -> str:
    """Return the first line of the message: Arrow appends a position in its own source code."""
    return str(error).partition("\n")[0].strip().rstrip(".")
