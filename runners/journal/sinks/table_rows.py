"""The rows of a table as a sequence, for code that works with rows or with whole columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TypeVar, overload

import pyarrow as pa

from providers.messages import JSON

from .record_table import INSTANT, TYPES

T = TypeVar("T")
_PLAIN = frozenset(TYPES.values()) - {INSTANT}


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


def _is_plain(table: pa.Table) -> bool:
    """Return whether every value certainly becomes a Python object."""
    try:
        table.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return _PLAIN.issuperset(table.schema.types)
