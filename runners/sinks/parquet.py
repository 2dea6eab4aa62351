"""Parquet parts: `part-000001.parquet`, one per journal segment, and `unresolved.parquet`. Any Parquet reader takes the folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..durable import replace_file
from ..record import Record
from .sink import Row

ROW_GROUP = 2_000
"""Rows; small, so that reading a part back needs little memory."""

_INSTANT = pa.timestamp("us", tz="UTC")
_TYPES = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "Instant": _INSTANT}


def record_schema() -> pa.Schema:
    """The columns of Record, in its order."""
    return pa.schema([_column(field.name, str(field.type)) for field in dataclasses.fields(Record)])


def record_table(rows: list[Row]) -> pa.Table:
    """Journal rows as a table; what a row does not have is null."""
    schema = record_schema()
    if not rows:
        return schema.empty_table()
    names = schema.names
    columns = zip(*(map(row.get, names) for row in rows), strict=True)  # row by row: each dict is touched once
    return pa.Table.from_arrays([_array(*pair) for pair in zip(schema, columns, strict=True)], schema=schema)


def _column(name: str, annotation: str) -> pa.Field:
    return pa.field(name, _TYPES[annotation.removesuffix(" | None")], nullable=annotation.endswith(" | None"))


class ParquetSink:
    def __init__(self, results: Path) -> None:
        self._results = results
        self._schema = record_schema()

    def write_part(self, number: int, rows: Iterable[Row]) -> None:
        self._write(self._part(number), rows)

    def last_part(self) -> int:
        return max((int(path.stem.removeprefix("part-")) for path in self._parts()), default=0)

    def write_unresolved(self, rows: Iterable[Row]) -> None:
        self._write(self._results / "unresolved.parquet", rows)

    def ordinals(self) -> Iterator[int]:
        for path in self._parts():
            for batch in pq.ParquetFile(path).iter_batches(columns=["ordinal"]):
                yield from batch.column(0).to_pylist()

    def _parts(self) -> list[Path]:
        return sorted(self._results.glob("part-*.parquet"))

    def _part(self, number: int) -> Path:
        return self._results / f"part-{number:06d}.parquet"

    def _write(self, path: Path, rows: Iterable[Row]) -> None:
        def write(file: BinaryIO) -> None:
            with pq.ParquetWriter(file, self._schema, compression="zstd") as writer:
                pending = iter(rows)
                while group := list(islice(pending, ROW_GROUP)):
                    writer.write_table(record_table(group))

        replace_file(path, write)


def _array(field: pa.Field, values: Sequence[object]) -> pa.Array:
    if field.type == _INSTANT:
        return pc.cast(pa.array(values, pa.string()), _INSTANT)
    return pa.array(values, field.type)
