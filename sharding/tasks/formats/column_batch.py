"""Neighbouring rows of Parquet and Arrow files, by column. Values become Python objects where they are asked for only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from importlib.util import find_spec
from itertools import repeat

import pyarrow as pa
import pyarrow.compute as pc

from providers.messages import JSON

from ...conversation import ROLES
from ..columns import Row

HAS_NUMPY = find_spec("numpy") is not None
"""It is installed with some extras only."""
NUMBERS_AND_NULLS: Sequence[Callable[[pa.DataType], bool]] = (
    pa.types.is_integer,
    pa.types.is_float32,
    pa.types.is_float64,
    pa.types.is_boolean,
    pa.types.is_null,
)
MESSAGE_PARTS = {"role", "content"}


class ColumnBatch:
    """A batch of rows. It has no columns where a value may be one that cannot be read, which the rows tell one by one."""

    def __init__(
        self, batch: pa.RecordBatch, skipped: Row, reading: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        """Hold a batch. `skipped` are the columns that were not decoded, as null; values are read within `reading`."""
        self._batch = batch
        self._skipped = skipped
        self._reading = reading
        self.columns: Collection[str] = batch.schema.names if _is_sound(batch) else ()

    def __len__(self) -> int:
        return int(self._batch.num_rows)

    def rows(self) -> Iterator[Row]:
        """Yield the rows; the columns that were not decoded are in them as null, so that messages can name them."""
        with self._reading():
            rows = _batch_rows(self._batch)
        if self._skipped or any(_is_nested(field.type) for field in self._batch.schema):
            return ({**self._skipped, **plain_row(row)} for row in rows)
        return rows

    def values(self, column: str) -> Sequence[JSON] | None:
        """Return the value of every row; None where they are nested."""
        array = self._batch.column(column)
        return None if pa.types.is_nested(array.type) else _values(array)

    def has_texts(self, column: str) -> bool:
        """Return whether every value is a text."""
        return _has_texts(self._batch.column(column))

    def has_messages(self, column: str) -> bool:
        """Return whether every value is a list of messages with a role and a text only."""
        lists = self._batch.column(column)
        if not pa.types.is_list(lists.type) or not pa.types.is_struct(lists.type.value_type) or lists.null_count:
            return False
        names = {field.name for field in lists.type.value_type}
        if names != MESSAGE_PARTS or lists.type.value_type.num_fields > len(names):
            return False
        messages = lists.flatten()
        if messages.null_count or not pc.min(pc.list_value_length(lists)).as_py():
            return False
        roles, contents = messages.field("role"), messages.field("content")
        known: set[str] = set(pc.unique(roles).to_pylist()) if _has_texts(roles) and _has_texts(contents) else {""}
        return known.issubset(ROLES)

    def has_objects(self, column: str, without: str) -> bool:
        """Return whether every value is null or an object that JSON can hold, without this key."""
        kind = self._batch.column(column).type
        return bool(pa.types.is_null(kind) or (pa.types.is_struct(kind) and kind.get_field_index(without) < 0))


def _is_sound(batch: pa.RecordBatch) -> bool:
    """Return whether every value can be read, and be held by JSON."""
    if not all(_is_simple(field.type) for field in batch.schema):
        return False
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return bool(len(set(batch.schema.names)) == batch.num_columns)


def _is_simple(kind: pa.DataType) -> bool:
    """Return whether values of a type are texts, numbers, truth values or nulls, also in lists and objects."""
    if pa.types.is_struct(kind):
        names = {field.name for field in kind}
        return len(names) == kind.num_fields and all(_is_simple(field.type) for field in kind)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_dictionary(kind):
        return _is_simple(kind.value_type)
    return _is_text(kind) or any(is_of(kind) for is_of in NUMBERS_AND_NULLS)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _has_texts(array: pa.Array) -> bool:
    return _is_text(array.type) and int(array.null_count) == 0


def _batch_rows(batch: pa.RecordBatch) -> Iterator[Row]:
    """Convert a batch to one dict per row."""
    names = batch.schema.names
    if not names:
        return iter([{} for _ in range(batch.num_rows)])
    columns = list(map(_values, batch.columns))
    return map(dict, map(zip, repeat(names), zip(*columns, strict=True)))


def _values(column: pa.Array) -> list[JSON]:
    if HAS_NUMPY and (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        texts: list[JSON] = column.to_numpy(zero_copy_only=False).tolist()  # several times faster than to_pylist
        return texts
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.string())
    return list(column.to_pylist())


def _is_nested(kind: pa.DataType) -> bool:
    """Return whether values of a type may hold others, so that they need `plain_row`."""
    return bool(pa.types.is_nested(kind) or pa.types.is_dictionary(kind))


def plain_row(decoded: Row) -> Row:
    """Convert the values of a row as Arrow gives them."""
    return {column: _plain(value) for column, value in decoded.items()}


def _plain(value: JSON | Decimal) -> JSON:
    """Remove nulls inside nested values, for an Arrow struct has the fields of all rows; a decimal becomes its text, with every digit."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value
