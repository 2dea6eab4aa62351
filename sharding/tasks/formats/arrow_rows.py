"""Rows of Arrow files and of the folders that `save_to_disk` of Hugging Face datasets writes. They are mapped into memory, not loaded."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate, chain
from pathlib import Path

import orjson
import pyarrow as pa

from providers.errors import InputError
from providers.suggestion import suggestion

from ..columns import Row
from ..dotted import has_path
from .column_batch import ColumnBatch, plain_row
from .parquet_rows import BATCH_ROWS

STATE = "state.json"
"""The file that marks a folder as a saved data set; it lists the Arrow files in their order."""


class ArrowRows:
    """The rows of one or several Arrow files with the same columns, with random access."""

    def __init__(self, path: Path, used: Collection[str], named: Sequence[str], data: Path | None = None) -> None:
        """Map a file, or the files of a saved data set. `used` are the columns that a scan reads, `named` those that must exist."""
        self._path = path
        self._tables = [_mapped(path, file) for file in arrow_files(data or path)]
        names = self._tables[0].column_names
        for column in named:
            if not has_path(names, column):
                raise InputError(f'{path}: the file has no column "{column}"; {suggestion(column, names)}')
        self._columns = [name for name in names if name in used]
        self._skipped: Row = dict.fromkeys(name for name in names if name not in used)
        self._scanned = 0
        self._starts = list(accumulate((table.num_rows for table in self._tables), initial=0))[:-1]

    def scan(self) -> Iterator[Row]:
        """Yield every row."""
        return chain.from_iterable(batch.rows() for batch in self.batches())

    def batches(self) -> Iterator[ColumnBatch]:
        """Yield every row, in batches."""
        for table in self._tables:
            for batch in table.select(self._columns).to_batches(BATCH_ROWS):
                self._scanned += batch.num_rows
                yield ColumnBatch(batch, self._skipped)

    def share(self) -> float:
        """Return the share of the rows that are scanned."""
        return float(self._scanned / max(1, sum(table.num_rows for table in self._tables)))

    def read(self, number: int) -> Row:
        """Read a row with all its columns."""
        place = bisect_right(self._starts, number) - 1
        return plain_row(self._tables[place].slice(number - self._starts[place], 1).to_pylist()[0])

    def where(self, number: int) -> str:
        """Name the file and the row, from 1."""
        return f"{self._path}, row {number + 1}"

    def close(self) -> None:
        """Release the files."""
        self._tables = []


def arrow_files(path: Path) -> list[Path]:
    """List the Arrow files of a saved data set in their order; the path itself where it is a file. Raises InputError."""
    if not path.is_dir():
        return [path]
    try:
        state = orjson.loads((path / STATE).read_bytes())
        files = [path / entry["filename"] for entry in state["_data_files"]]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: is not a folder that save_to_disk wrote ({STATE} cannot be read); save it again"
        ) from error
    if state.get("_indices_data_files"):
        raise InputError(f"{path}: holds a selection of rows; save it again after dataset.flatten_indices()")
    if not files:
        raise InputError(f"{path}: holds no tasks")
    return files


def _mapped(shown: Path, file: Path) -> pa.Table:
    """Map a file in either form of Arrow: a stream, as datasets writes it, or a file with random access, also called Feather."""
    try:
        source = pa.memory_map(str(file))
        try:
            return pa.ipc.open_stream(source).read_all()
        except pa.ArrowInvalid:
            source.seek(0)
            return pa.ipc.open_file(source).read_all()
    except FileNotFoundError as error:
        raise InputError(f"{file}: no such file; check the path") from error
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{shown}: is not an Arrow file ({' '.join(str(error).split())}); save it again, or correct its suffix"
        ) from error
