"""The scan of one task file: every row is checked once, and its id, kind and kind of target are kept in a few bytes.

Batches of rows are checked as a whole (`row_batches.py`); rows of other stores, and of batches with an unusual row,
are checked one by one.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Protocol

from providers.errors import InputError
from providers.messages import JSON

from ..columns import Columns, Row
from ..tool_results import DECLARED
from .duplicate_ids import TaskIds, TaskKinds
from .row_batches import BatchedRows, BatchReading, RowBatch, UsualTasks

OnProgress = Callable[[Path, int, float | None], object]
"""Called with the file, the rows that are read, and their share of it where that is known."""
PROGRESS_ROWS = 2_000
"""Rows between two calls of it, where they are checked one by one."""


class RowStore(Protocol):
    """The rows of a file. Call `scan` first: it yields every row once, in order, and indexes the rows for `read`."""

    def scan(self) -> Iterator[Row]:
        """Yield every row. Raises InputError with file and line."""
        ...

    def read(self, number: int) -> Row:
        """Read a row. Raises ValueError or OSError where the file has changed."""
        ...

    def where(self, number: int) -> str:
        """Return the file and line of a row that `scan` has reached."""
        ...

    def share(self) -> float | None:
        """Return the share of the file that `scan` has reached; None where it is not known."""
        ...

    def close(self) -> object:
        """Close the file."""
        ...


class FileScan:
    """What is kept of the rows of one file."""

    def __init__(self, path: Path, stem: str, store: RowStore, columns: Columns, ids: TaskIds) -> None:
        """Prepare a scan. `stem` is part of the ids of tasks without one; `ids` gets every id."""
        self.kinds = TaskKinds()
        self.unusual_targets = array("Q")
        """The rows whose target is no text, or an empty one."""
        self.declares_results = False
        """Whether a task declares the results of its tools."""
        self._path = path
        self._stem = stem
        self._store = store
        self._columns = columns
        self._ids = ids
        self._read_columns: Collection[str] = ()
        self._reading: BatchReading | None = None
        """How rows with these columns are read, where batches can be."""

    def run(self, on_progress: OnProgress | None = None) -> None:
        """Check every row. Raises InputError with the first invalid one."""
        if isinstance(self._store, BatchedRows):
            for batch in self._store.batches():
                self._add_batch(batch)
                del batch  # before the next is read: two would not stay in the processor's cache
                if on_progress is not None:
                    on_progress(self._path, len(self.kinds), self._store.share())
            return
        for row in self._store.scan():
            self._add_row(row)
            if on_progress is not None and not len(self.kinds) % PROGRESS_ROWS:
                on_progress(self._path, len(self.kinds), self._store.share())

    def _add_batch(self, batch: RowBatch) -> None:
        usual = self._usual_tasks(batch)
        if usual is None:
            for row in batch.rows():
                self._add_row(row)
            return
        if set(map(type, usual.targets)) != {str} or not all(usual.targets) or any(map(str.isspace, usual.targets)):  # type: ignore[arg-type]  # all are texts then
            numbered = enumerate(usual.targets, start=len(self.kinds))
            self.unusual_targets.extend(row for row, target in numbered if not _is_usual_target(target))
        self._ids.extend(usual.ids)
        self.kinds.extend(usual.task_types, usual.difficulties)

    def _usual_tasks(self, batch: RowBatch) -> UsualTasks | None:
        if self._reading is None or batch.columns != self._read_columns:
            self._read_columns = batch.columns
            columns = self._columns.plain_columns(batch.columns)
            self._reading = None if columns is None else BatchReading(columns, self._columns.needs_input, self._stem)
        return None if self._reading is None else self._reading.usual_tasks(batch, len(self.kinds))

    def _add_row(self, row: Row) -> None:
        number = len(self.kinds)
        try:
            fields = self._columns.fields(row, f"{self._stem}-{number + 1}")
        except InputError as error:
            raise InputError(f"{self._store.where(number)}: {error}") from error
        task_id, _, target, _, task_type, difficulty, _, metadata = fields
        if not _is_usual_target(target):
            self.unusual_targets.append(number)
        if metadata and DECLARED in metadata:
            self.declares_results = True
        self.kinds.add(task_type, difficulty)
        self._ids.add(task_id)


def _is_usual_target(target: JSON) -> bool:
    """Return whether a target is a text that is not blank."""
    return isinstance(target, str) and bool(target) and not target.isspace()
