"""Opens task sets from the user's settings: a path, the meaning of its columns, and its format. Several form one pool.

All errors of a file are found in one scan when it is opened, and reported with file and line. Tasks are then read by row; they are not
kept in memory, except those of a user's own `reader`.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import accumulate, chain
from pathlib import Path

import orjson

from providers.errors import InputError

from .bfcl_rows import BfclRows, answers_path
from .columns import Columns
from .csv_rows import CsvRecords
from .duplicate_ids import TaskIds
from .json_rows import JsonArray, JsonLines
from .task import Task, TaskSet
from .task_files import Identity, LoadedTasks, RowStore, StoredTasks


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """The settings of a task set. The suffix selects the format: .jsonl .ndjson (OpenAI Batch files too), .json, .csv, .parquet."""

    path: Path
    fields: Mapping[str, str] = field(default_factory=dict)
    """From task fields to the file's columns: id input messages target tools task_type difficulty family system."""
    scorer: str | None = None
    reader: str | None = None
    """A name of READERS, or "module:function" for other formats: called with the path, yields Task objects or dicts of task fields."""


def _open_parquet(path: Path, spec: SourceSpec, columns: Columns) -> RowStore:
    from .parquet_rows import ParquetRows  # pyarrow takes 100 ms to import

    return ParquetRows(path, columns.used, list(spec.fields.values()))


STORES: Mapping[str, Callable[[Path, SourceSpec, Columns], RowStore]] = {
    ".jsonl": lambda path, _spec, _columns: JsonLines(path),
    ".ndjson": lambda path, _spec, _columns: JsonLines(path),
    ".json": lambda path, _spec, _columns: JsonArray(path),
    ".csv": lambda path, spec, _columns: CsvRecords(path, list(spec.fields.values())),
    ".parquet": _open_parquet,
}


@dataclass(frozen=True, slots=True)
class Reader:
    """A published format that is not recognised by its suffix."""

    open: Callable[[Path], RowStore]
    beside: Callable[[Path], Path]
    """Returns the path of the second file of the format, which is part of the fingerprint."""


READERS: Mapping[str, Reader] = {"bfcl": Reader(BfclRows, answers_path)}


class TaskPool:
    """Several task sets as one, with consecutive row numbers. Task ids are unique over all sets."""

    def __init__(self, sets: Sequence[TaskSet]) -> None:
        self._sets = sets
        *self._starts, self._length = accumulate((len(tasks) for tasks in sets), initial=0)
        self.fingerprint = hashlib.sha256("\n".join(tasks.fingerprint for tasks in sets).encode()).hexdigest()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, row: int) -> Task:
        tasks, own_row = self._locate(row)
        return tasks[own_row]

    def _locate(self, row: int) -> tuple[TaskSet, int]:
        if not 0 <= row < self._length:
            raise IndexError(row)
        number = bisect_right(self._starts, row) - 1 if len(self._starts) > 1 else 0
        return self._sets[number], row - self._starts[number]

    def kind(self, row: int) -> tuple[str, str]:
        """Return the row's task type and difficulty."""
        tasks, own_row = self._locate(row)
        return tasks.kind(own_row)

    def kinds(self) -> Iterator[tuple[str, str]]:
        """Yield the kind of every row, in order."""
        return chain.from_iterable(tasks.kinds() for tasks in self._sets)

    def scorer(self, row: int) -> str | None:
        """Return the scorer of the row's set; None for the run's scorer."""
        tasks, own_row = self._locate(row)
        return tasks.scorer(own_row)

    def unusual_targets(self) -> Iterator[int]:
        """Yield the rows whose target is no text, or an empty one."""
        for start, tasks in zip(self._starts, self._sets, strict=True):
            yield from (start + row for row in tasks.unusual_targets())

    def origin(self, row: int) -> str:
        """Return the row's file and line, for messages."""
        tasks, own_row = self._locate(row)
        return tasks.origin(own_row)

    def close(self) -> None:
        """Close every set."""
        for tasks in self._sets:
            tasks.close()


def open_tasks(specs: Sequence[SourceSpec]) -> TaskPool:
    """Open and check every task set. Raises InputError, also where two rows have the same id."""
    if not specs:
        raise InputError("no task set is given; name at least one file under tasks")
    ids = TaskIds()
    with ExitStack() as stack:
        sets = []
        for spec in specs:
            sets.append(_open(spec, ids))
            stack.callback(sets[-1].close)
        pool = TaskPool(sets)
        ids.refuse_repeats(pool)
        stack.pop_all()
    return pool


def _open(spec: SourceSpec, ids: TaskIds) -> TaskSet:
    columns = _columns(spec)
    tasks: TaskSet
    if spec.reader is None or spec.reader in READERS:
        tasks = _open_stored(spec, columns, ids)
    else:
        tasks = LoadedTasks(_identify(spec), spec.reader, columns, ids)
    if len(tasks) == 0:
        tasks.close()
        raise InputError(f"{spec.path}: holds no tasks")
    return tasks


def _columns(spec: SourceSpec) -> Columns:
    try:
        return Columns(spec.fields)
    except InputError as error:
        raise InputError(f"{spec.path}: {error}") from error


def _open_stored(spec: SourceSpec, columns: Columns, ids: TaskIds) -> TaskSet:
    store_of = _store_of(spec)
    if spec.path.is_dir():
        raise InputError(f"{spec.path}: is a directory; name the files in it, for instance with *.jsonl")
    with ExitStack() as stack:
        identity = _identify(spec)
        store = store_of(spec.path, spec, columns)
        stack.callback(store.close)
        tasks = StoredTasks(identity, store, columns, ids)
        stack.pop_all()
    return tasks


def _store_of(spec: SourceSpec) -> Callable[[Path, SourceSpec, Columns], RowStore]:
    reader = READERS.get(spec.reader or "")
    if reader is not None:
        return lambda path, _spec, _columns: reader.open(path)
    store_of = STORES.get(spec.path.suffix.lower())
    if store_of is None:
        suffixes = " ".join(STORES)
        raise InputError(f"{spec.path}: unknown kind of file; task sets end in {suffixes}, others need a reader")
    return store_of


def _identify(spec: SourceSpec) -> Identity:
    """Digest the bytes, the way of reading and the scorer; the stem is included because it names tasks without an id."""
    try:
        files = sorted(path for path in spec.path.rglob("*") if path.is_file()) if spec.path.is_dir() else [spec.path]
        if (reader := READERS.get(spec.reader or "")) and reader.beside(spec.path).exists():
            files.append(reader.beside(spec.path))
        digest = hashlib.sha256("".join(_file_digest(path) for path in files).encode())
    except FileNotFoundError as error:
        raise InputError(f"{spec.path}: no such file; check the path") from error
    except OSError as error:
        raise InputError(f"{spec.path}: cannot be read ({error.strerror})") from error
    how = [spec.path.stem, spec.path.suffix, sorted(spec.fields.items()), spec.reader, spec.scorer]
    digest.update(orjson.dumps(how))
    return Identity(spec.path, digest.hexdigest(), spec.scorer)


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
