"""Rows of Parquet files: the row group of a row is decoded, and the last KEPT_GROUPS groups stay in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from importlib.util import find_spec
from itertools import accumulate, repeat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from providers.errors import InputError
from providers.messages import JSON
from providers.suggestion import suggestion

from ..columns import Row
from ..dotted import has_path

HAS_NUMPY = find_spec("numpy") is not None
"""It is installed with some extras only."""

KEPT_GROUPS = 2
"""Decoded row groups in memory: the current one, and the previous one for a slower reader. Small groups need less memory."""
BATCH_ROWS = 1024


class ParquetRows:
    """The rows of a Parquet file, with random access. Only columns that may be used are decoded."""

    def __init__(self, path: Path, used: Collection[str], named: Sequence[str], data: Path | None = None) -> None:
        """Open the file. `used` are the columns to decode where they exist, `named` the ones that must exist."""
        self._path = path
        try:
            self._file = pq.ParquetFile(data or path)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path}: not a Parquet file ({error})") from error
        names = self._file.schema_arrow.names
        for column in named:
            if not has_path(names, column):
                raise InputError(f'{path}: the file has no column "{column}"; {suggestion(column, names)}')
        self._columns = [name for name in names if name in used]
        fields = map(self._file.schema_arrow.field, self._columns)
        self._has_nested = any(map(is_nested, (field.type for field in fields)))
        self._skipped: Row = dict.fromkeys(name for name in names if name not in used)
        metadata = self._file.metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self._starts = list(accumulate(sizes, initial=0))[:-1]
        self._decoded: OrderedDict[int, pa.Table] = OrderedDict()

    def scan(self) -> Iterator[Row]:
        """Yield every row. Raises InputError where the file is damaged."""
        batches = self._file.iter_batches(BATCH_ROWS, columns=self._columns)
        while True:
            try:
                rows = batch_rows(next(batches))
            except StopIteration:
                return
            except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
                raise InputError(f"{self._path}: is damaged or holds values that cannot be read ({error})") from error
            yield from map(self._row, rows) if self._skipped or self._has_nested else rows

    def read(self, number: int) -> Row:
        """Read a row with all its columns from its row group."""
        group = bisect_right(self._starts, number) - 1
        table = self._row_group(group).slice(number - self._starts[group], 1)
        return plain_row(table.to_pylist()[0])

    def _row(self, decoded: Row) -> Row:
        """Add the columns that were not decoded as null, so that messages can name them."""
        return {**self._skipped, **plain_row(decoded)}

    def _row_group(self, group: int) -> pa.Table:
        table = self._decoded.get(group)
        if table is None:
            table = self._decoded[group] = self._file.read_row_group(group)
            if len(self._decoded) > KEPT_GROUPS:
                self._decoded.popitem(last=False)
        self._decoded.move_to_end(group)
        return table

    def where(self, number: int) -> str:
        """Name the file and the row, from 1."""
        return f"{self._path}, row {number + 1}"

    def close(self) -> None:
        """Close the file and release the decoded groups."""
        self._decoded.clear()
        self._file.close()


def batch_rows(batch: pa.RecordBatch) -> Iterator[Row]:
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


def is_nested(kind: pa.DataType) -> bool:
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
