"""Rows of Parquet files: the row group of a row is decoded, and the last KEPT_GROUPS groups stay in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate, repeat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from providers.errors import InputError
from providers.messages import JSON
from providers.suggestion import suggestion

from .columns import Row

KEPT_GROUPS = 2
"""Decoded row groups in memory: the current one, and the previous one for a slower reader. Small groups need less memory."""
BATCH_ROWS = 1024


class ParquetRows:
    """The rows of a Parquet file, with random access. Only columns that may be used are decoded."""

    def __init__(self, path: Path, used: Collection[str], named: Sequence[str]) -> None:
        """Open the file. `used` are the columns to decode where they exist, `named` the ones that must exist."""
        self._path = path
        try:
            self._file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path}: not a Parquet file ({error})") from error
        names = self._file.schema_arrow.names
        for column in named:
            if column not in names:
                raise InputError(f'{path}: the file has no column "{column}"; {suggestion(column, names)}')
        self._columns = [name for name in names if name in used]
        fields = map(self._file.schema_arrow.field, self._columns)
        self._has_nested = any(pa.types.is_nested(field.type) or pa.types.is_dictionary(field.type) for field in fields)
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
                rows = _rows(next(batches))
            except StopIteration:
                return
            except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
                raise InputError(f"{self._path}: is damaged or holds values that cannot be read ({error})") from error
            yield from map(self._row, rows) if self._skipped or self._has_nested else rows

    def read(self, number: int) -> Row:
        """Read a row from its row group."""
        group = bisect_right(self._starts, number) - 1
        table = self._row_group(group).slice(number - self._starts[group], 1)
        return self._row(table.to_pylist()[0])

    def _row(self, decoded: Row) -> Row:
        """Add the columns that were not decoded as null, so that messages can name them."""
        return {**self._skipped, **{column: _without_nulls(value) for column, value in decoded.items()}}

    def _row_group(self, group: int) -> pa.Table:
        table = self._decoded.get(group)
        if table is None:
            table = self._decoded[group] = self._file.read_row_group(group, columns=self._columns)
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


def _rows(batch: pa.RecordBatch) -> Iterator[Row]:
    """Convert a batch to one dict per row."""
    names = batch.schema.names
    if not names:
        return iter([{} for _ in range(batch.num_rows)])
    columns = list(map(_values, batch.columns))
    return map(dict, map(zip, repeat(names), zip(*columns, strict=True)))


def _values(column: pa.Array) -> list[JSON]:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        texts: list[JSON] = column.to_numpy(zero_copy_only=False).tolist()  # several times faster than to_pylist
        return texts
    return list(column.to_pylist())


def _without_nulls(value: JSON) -> JSON:
    """Remove nulls inside nested values: a Parquet struct has the fields of all rows, a message has only its own."""
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value
