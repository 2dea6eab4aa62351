"""Opens task sets from the user's settings: a path, the meaning of its columns, and its format. Several form one pool.

All errors of a file are found in one scan when it is opened, and reported with file and line. Tasks are then read by row; they are not
kept in memory, except those of a user's own `reader`.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import accumulate, chain, pairwise
from pathlib import Path

import orjson

from providers.errors import InputError

from .columns import Columns, Row
from .field_values import FieldValue
from .formats.bfcl_rows import BfclRows, answers_path
from .formats.csv_rows import CsvRecords
from .formats.decompression import COMPRESSIONS, Decompressed, bare_name, fault_of
from .formats.json_rows import JsonArray, JsonLines
from .formats.lm_eval_rows import LmEvalRows, is_sample_file
from .locations.files import STATE
from .scan.duplicate_ids import TaskIds
from .scan.file_scan import OnProgress, RowStore
from .task import Task, TaskSet
from .task_files import Identity, LoadedTasks, StoredTasks
from .tool_registry import RegistrySpec, ToolRegistry


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """The settings of a task set. The suffix selects the format, also before .gz or .zst; a folder was written by `save_to_disk`."""

    path: Path
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    """From task fields to the file's columns: id input messages target tools task_type difficulty family system choices."""
    scorer: str | None = None
    reader: str | None = None
    """A name of READERS, or "module:function" for other formats: called with the path, yields Task objects or dicts of task fields."""
    rows: str | None = None
    """The dotted path of the array in a JSON document; None where the document is the array."""
    models: Sequence[str] | None = None
    """The models that get these tasks; None: all."""
    shown: str | None = None
    """The name of the file in messages and in the fingerprint, if it is not the path: an address of the Hugging Face hub."""
    needs_input: bool = True
    """Whether a row must have an input or messages, because a prompt type shows it."""
    tools: RegistrySpec | None = None
    """Tools that stand in a file of their own."""

    @property
    def name(self) -> Path:
        """The file's name in messages."""
        return Path(self.shown.replace("://", ":/")) if self.shown else self.path


def _open_lines(data: Path, spec: SourceSpec, columns: Columns) -> RowStore:
    return LmEvalRows(spec.name, data, columns.note) if is_sample_file(data) else JsonLines(spec.name, data)


def _open_parquet(data: Path, spec: SourceSpec, columns: Columns) -> RowStore:
    from .formats.parquet_rows import ParquetRows  # pyarrow takes 100 ms to import

    return ParquetRows(spec.name, columns.used, columns.named, data)


def _open_arrow(data: Path, spec: SourceSpec, columns: Columns) -> RowStore:
    from .formats.arrow_rows import ArrowRows

    return ArrowRows(spec.name, columns.used, columns.named, data)


SPREADSHEETS = {".xlsx", ".xls", ".ods", ".tsv"}
StoreOf = Callable[[Path, SourceSpec, Columns], RowStore]
"""Opens the bytes at a path as rows."""
STORES: Mapping[str, StoreOf] = {
    ".jsonl": _open_lines,
    ".ndjson": _open_lines,
    ".json": lambda data, spec, _columns: JsonArray(spec.name, data, spec.rows),
    ".csv": lambda data, spec, columns: CsvRecords(spec.name, columns.named, data),
    ".parquet": _open_parquet,
    ".arrow": _open_arrow,
    ".feather": _open_arrow,
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
        self.declares_results = any(tasks.declares_results for tasks in sets)
        """Whether a task declares the results of its tools."""
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

    def first_rows(self, rows: Sequence[int], most: int) -> Iterator[Sequence[int]]:
        """Yield the first `most` of ascending `rows` of every set that has any."""
        for start, end in pairwise([*self._starts, self._length]):
            first = bisect_left(rows, start)
            own = rows[first : min(first + most, bisect_left(rows, end))]
            if own:
                yield own

    def kind(self, row: int) -> tuple[str, str]:
        """Return the row's task type and difficulty."""
        tasks, own_row = self._locate(row)
        return tasks.kind(own_row)

    def kinds(self) -> Iterator[tuple[str, str]]:
        """Yield the kind of every row, in order."""
        return chain.from_iterable(tasks.kinds() for tasks in self._sets)

    @property
    def notes(self) -> Sequence[str]:
        """What the files hold and a run does not use."""
        return [note for tasks in self._sets for note in tasks.notes]

    def scorer(self, row: int) -> str | None:
        """Return the scorer of the row's set; None for the run's scorer."""
        tasks, own_row = self._locate(row)
        return tasks.scorer(own_row)

    @property
    def is_bound(self) -> bool:
        """Whether some sets are for some models only."""
        return any(tasks.is_bound for tasks in self._sets)

    def models(self, row: int) -> Sequence[str] | None:
        """Return the models that get the row's task; None for all."""
        tasks, own_row = self._locate(row)
        return tasks.models(own_row)

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


def open_tasks(specs: Sequence[SourceSpec], on_progress: OnProgress | None = None) -> TaskPool:
    """Open and check every task set; `on_progress` is told how far a scan is. Raises InputError, also where two rows have the same id."""
    if not specs:
        raise InputError("no task set is given; name at least one file under tasks")
    ids = TaskIds()
    with ExitStack() as stack:
        sets = []
        for spec in specs:
            sets.append(_open(spec, ids, on_progress))
            stack.callback(sets[-1].close)
        pool = TaskPool(sets)
        ids.refuse_repeats(pool)
        stack.pop_all()
    return pool


def read_rows(path: Path) -> list[Row]:
    """Read every row of a small file, as it stands. Raises InputError."""
    spec = SourceSpec(path, needs_input=False)
    if not path.is_file():
        raise InputError(f"{path}: no such file; {_nearest(path)}")
    columns = Columns({}, needs_input=False)
    with ExitStack() as stack:
        store = _store_of(spec)(_data_of(spec, stack), spec, columns)
        stack.callback(store.close)
        return [store.read(number) for number, _ in enumerate(store.scan())]


def _open(spec: SourceSpec, ids: TaskIds, on_progress: OnProgress | None) -> TaskSet:
    columns = _columns(spec)
    tasks: TaskSet
    if spec.reader is None or spec.reader in READERS:
        tasks = _open_stored(spec, columns, ids, on_progress)
    else:
        tasks = LoadedTasks(_identify(spec), spec.reader, columns, ids)
    if len(tasks) == 0:
        tasks.close()
        raise InputError(f"{spec.name}: holds no tasks")
    return tasks


def _columns(spec: SourceSpec) -> Columns:
    registry = None if spec.tools is None else ToolRegistry(spec.tools)
    try:
        return Columns(spec.fields, _stem(spec), needs_input=spec.needs_input, registry=registry)
    except InputError as error:
        raise InputError(f"{spec.name}: {error}") from error


def _stem(spec: SourceSpec) -> str:
    """Return the name of the file without its suffixes; it is part of the ids of tasks without one."""
    return bare_name(spec.name).stem


def _open_stored(spec: SourceSpec, columns: Columns, ids: TaskIds, on_progress: OnProgress | None) -> TaskSet:
    store_of = _store_of(spec)
    with ExitStack() as stack:
        identity = _identify(spec)
        store = store_of(_data_of(spec, stack), spec, columns)
        stack.callback(store.close)
        tasks = StoredTasks(identity, store, columns, ids, on_progress)
        tasks.close = stack.pop_all().close
    return tasks


def _data_of(spec: SourceSpec, stack: ExitStack) -> Path:
    """Return where the bytes of a file are. Those of a compressed one are in a temporary file, which `stack` removes."""
    if spec.path.suffix.lower() in COMPRESSIONS:
        unpacked = Decompressed(spec.path, bare_name(spec.path).suffix)
        stack.callback(unpacked.close)
        return unpacked.path
    if spec.path.is_file() and (fault := fault_of(spec.path)):
        raise InputError(f"{spec.name}: {fault}")
    return spec.path


def _store_of(spec: SourceSpec) -> StoreOf:
    reader, suffix = READERS.get(spec.reader or ""), bare_name(spec.path).suffix.lower()
    if spec.rows is not None and suffix != ".json":
        raise InputError(f"{spec.name}: rows is for .json documents; leave it out")
    if reader is not None:
        return lambda path, _spec, _columns: reader.open(path)
    if spec.path.is_dir():
        if (spec.path / STATE).exists():
            return _open_arrow
        raise InputError(f"{spec.path}: is a directory; name the files in it, for instance with *.jsonl")
    store_of = STORES.get(suffix)
    if store_of is None:
        remedy = "save it as CSV" if suffix in SPREADSHEETS else "others need a reader"
        raise InputError(
            f"{spec.name}: unknown kind of file; task sets end in {' '.join(STORES)}, also with .gz or .zst; {remedy}"
        )
    return store_of


def _identify(spec: SourceSpec) -> Identity:
    """Digest the bytes, the way of reading and the scorer; the stem is included because it names tasks without an id."""
    try:
        files = sorted(path for path in spec.path.rglob("*") if path.is_file()) if spec.path.is_dir() else [spec.path]
        if (reader := READERS.get(spec.reader or "")) and reader.beside(spec.path).exists():
            files.append(reader.beside(spec.path))
        if spec.tools is not None:
            files.append(spec.tools.path)
        digest = hashlib.sha256("".join(_file_digest(path) for path in files).encode())
    except FileNotFoundError as error:
        raise InputError(f"{spec.name}: no such file; {_nearest(spec.path)}") from error
    except OSError as error:
        raise InputError(f"{spec.name}: cannot be read ({error.strerror})") from error
    how = [spec.path.stem, spec.path.suffix, sorted(spec.fields.items()), spec.reader, spec.scorer]
    new = {"rows": spec.rows, "models": spec.models, "shown": spec.shown}
    new |= {} if spec.tools is None else {"tools": [spec.tools.names, spec.tools.offer]}
    digest.update(
        orjson.dumps([*how, *([given] if (given := {k: v for k, v in new.items() if v is not None}) else [])])
    )
    return Identity(spec.name, _stem(spec), digest.hexdigest(), spec.scorer, spec.models)


def _nearest(path: Path) -> str:
    """Return what the user may have meant by a file that is not there."""
    names = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    close = get_close_matches(path.name, names, n=1)
    return f'did you mean "{path.with_name(close[0])}"?' if close else "check the path"


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
