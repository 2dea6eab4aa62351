"""Records as Arrow tables: the schema has the fields of Record, in their order."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TypeVar, overload

import pyarrow as pa
import pyarrow.compute as pc

from providers.messages import JSON

from ...samples.record import Record
from .sink import Row

_INSTANT = pa.timestamp("us", tz="UTC")
_TYPES = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "Instant": _INSTANT}
T = TypeVar("T")
_PLAIN = frozenset(_TYPES.values()) - {_INSTANT}


class TableRows(Sequence[tuple[JSON, ...]]):
    """The rows of a table, which become Python objects where one is asked for only."""

    def __init__(self, table: pa.Table) -> None:
        """Hold a table. Raises ValueError where a value is none that Python can hold, such as text that is not UTF-8."""
        self.table = table
        if not _is_plain(table):
            len(self._rows)  # raises the error that names the value

    @cached_property
    def _rows(self) -> list[tuple[JSON, ...]]:
        return list(zip(*(column.to_pylist() for column in self.table.columns), strict=True))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @overload
    def __getitem__(self, number: int) -> tuple[JSON, ...]: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[tuple[JSON, ...]]: ...
    def __getitem__(self, number: int | slice) -> tuple[JSON, ...] | Sequence[tuple[JSON, ...]]:
        return self._rows[number]

    def __iter__(self) -> Iterator[tuple[JSON, ...]]:
        return iter(self._rows)


def column_of(rows: Sequence[Sequence[T]], number: int) -> list[T]:
    """Return a column of rows; of a table, the others do not become Python objects."""
    if isinstance(rows, TableRows):
        values: list[T] = rows.table.column(number).to_pylist()
        return values
    return [row[number] for row in rows]


def record_schema() -> pa.Schema:
    """Build the schema with the fields of Record, in their order."""
    return pa.schema([_column(field.name, str(field.type)) for field in dataclasses.fields(Record)])


def record_table(rows: list[Row]) -> pa.Table:
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


def _is_plain(table: pa.Table) -> bool:
    """Return whether every value certainly becomes a Python object."""
    try:
        table.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return _PLAIN.issuperset(table.schema.types)


def _column(name: str, annotation: str) -> pa.Field:
    return pa.field(name, _TYPES[annotation.removesuffix(" | None")], nullable=annotation.endswith(" | None"))


def _array(field: pa.Field, values: Sequence[object]) -> pa.Array:
    if field.type == _INSTANT:
        return pc.cast(pa.array(values, pa.string()), _INSTANT)
    return pa.array(values, field.type)
