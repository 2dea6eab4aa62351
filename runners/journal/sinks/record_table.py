"""Records as Arrow tables: the schema has the fields of Record, in their order."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...samples.record import Record
from ..pieces import PIECE_CHARACTERS, PIECE_ROWS
from .sink import Row

MOST_BYTES = 4 * PIECE_CHARACTERS
"""Of a row group that is read at once. A character takes four bytes at most, so those that the sink writes are read whole."""
INSTANT = pa.timestamp("us", tz="UTC")
TYPES = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "Instant": INSTANT}


def record_schema() -> pa.Schema:
    """Build the schema with the fields of Record, in their order."""
    return pa.schema([_column(field.name, str(field.type)) for field in dataclasses.fields(Record)])


def record_table(rows: Sequence[Row]) -> pa.Table:
    """Build a table of journal rows; a field that a row does not have is null."""
    schema = record_schema()
    if not rows:
        return schema.empty_table()
    names = schema.names
    columns = zip(*(map(row.get, names) for row in rows), strict=True)  # row by row: each dict is touched once
    return pa.Table.from_arrays([_array(*pair) for pair in zip(schema, columns, strict=True)], schema=schema)


def add_later_columns(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Add each of `names` that the version which wrote the table did not know, null in every row.

    Raises ValueError where the missing column is one that every version writes.
    """
    for name in names:
        if name not in table.column_names:
            column = record_schema().field(name)
            if not column.nullable:
                raise ValueError(f"has no column {name}")
            table = table.append_column(column, pa.nulls(table.num_rows, column.type))
    return table.select(names)


def read_pieces(file: pq.ParquetFile, names: Sequence[str]) -> Iterator[pa.Table]:
    """Yield the columns of a results file in tables that are bounded by their size, also where a row group is larger."""
    for number in range(file.num_row_groups):
        rows = rows_at_once(file.metadata.row_group(number), names)
        for batch in file.iter_batches(rows, row_groups=[number], columns=list(names), use_threads=False):
            yield pa.Table.from_batches([batch])


def rows_at_once(group: pq.RowGroupMetaData, names: Collection[str]) -> int:
    """Return how many rows of a row group have MOST_BYTES in these columns, PIECE_ROWS at most."""
    chunks = map(group.column, range(group.num_columns))
    size = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.partition(".")[0] in names)
    return max(1, min(PIECE_ROWS, MOST_BYTES * int(group.num_rows) // max(1, int(size))))


def _column(name: str, annotation: str) -> pa.Field:
    return pa.field(name, TYPES[annotation.removesuffix(" | None")], nullable=annotation.endswith(" | None"))


def _array(field: pa.Field, values: Sequence[object]) -> pa.Array:
    if field.type == INSTANT:
        return pc.cast(pa.array(values, pa.string()), INSTANT)
    return pa.array(values, field.type)
