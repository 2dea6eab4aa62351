"""Rows of Parquet files: the row group of a row is decoded, and the last KEPT_GROUPS groups stay in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from providers.errors import InputError
from providers.suggestion import suggestion

from ..columns import Row
from ..dotted import has_path
from .column_batch import ColumnBatch, plain_row

KEPT_GROUPS = 2
"""Decoded row groups in memory: the current one, and the previous one for a slower reader. Small groups need less memory."""
BATCH_ROWS = 1024
BATCH_BYTES = 16 << 20
"""Of a batch that a scan decodes at once: long prompts are fewer."""
BUFFER_BYTES = 1 << 20
"""A column is read from the disk in pieces of this size, not as a whole."""


class ParquetRows:
    """The rows of a Parquet file, with random access. Only columns that may be used are decoded."""

    def __init__(self, path: Path, used: Collection[str], named: Sequence[str], data: Path | None = None) -> None:
        """Open the file. `used` are the columns to decode where they exist, `named` the ones that must exist."""
        self._path = path
        try:
            self._file = pq.ParquetFile(data or path, buffer_size=BUFFER_BYTES)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path}: not a Parquet file ({error})") from error
        names = self._file.schema_arrow.names
        for column in named:
            if not has_path(names, column):
                raise InputError(f'{path}: the file has no column "{column}"; {suggestion(column, names)}')
        self._columns = [name for name in names if name in used]
        self._scanned = 0
        self._skipped: Row = dict.fromkeys(name for name in names if name not in used)
        metadata = self._file.metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self._starts = list(accumulate(sizes, initial=0))[:-1]
        self._decoded: OrderedDict[int, pa.Table] = OrderedDict()

    def scan(self) -> Iterator[Row]:
        """Yield every row. Raises InputError where the file is damaged."""
        return chain.from_iterable(batch.rows() for batch in self.batches())

    def batches(self) -> Iterator[ColumnBatch]:
        """Yield every row, in batches. Raises InputError where the file is damaged."""
        batches = self._file.iter_batches(self._rows_at_once(), columns=self._columns)
        while True:
            with self._reading():
                batch = next(batches, None)
            if batch is None:
                return
            self._scanned += batch.num_rows
            yield ColumnBatch(batch, self._skipped, self._reading)

    def _rows_at_once(self) -> int:
        """Return how many rows of the largest row group have BATCH_BYTES, BATCH_ROWS at most."""
        groups = map(self._file.metadata.row_group, range(self._file.metadata.num_row_groups))
        largest = max((group.total_byte_size / max(1, group.num_rows) for group in groups), default=0.0)
        return max(1, min(BATCH_ROWS, int(BATCH_BYTES / max(1.0, largest))))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Raise InputError where reading fails."""
        try:
            yield
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            raise InputError(f"{self._path}: is damaged or holds values that cannot be read ({error})") from error

    def share(self) -> float:
        """Return the share of the rows that are scanned."""
        return float(self._scanned / max(1, self._file.metadata.num_rows))

    def read(self, number: int) -> Row:
        """Read a row with all its columns from its row group."""
        group = bisect_right(self._starts, number) - 1
        table = self._row_group(group).slice(number - self._starts[group], 1)
        return plain_row(table.to_pylist()[0])

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
