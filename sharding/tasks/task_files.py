"""Task sets of one file: a row store reads the format, `Columns` converts rows to tasks, and the scan collects kinds and ids."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from providers.errors import InputError

from .columns import Columns
from .scan.duplicate_ids import TaskIds
from .scan.file_scan import FileScan, OnProgress, RowStore
from .task import Task
from .tool_results import DECLARED


@dataclass(frozen=True, slots=True)
class Identity:
    """The name, the fingerprint and the scorer of a task set."""

    path: Path
    stem: str
    """Part of the ids of tasks without one."""
    fingerprint: str
    scorer: str | None
    models: Sequence[str] | None = None
    """The models that get these tasks; None: all."""


class StoredTasks:
    """A task set whose rows are read from the file on access."""

    def __init__(
        self, identity: Identity, store: RowStore, columns: Columns, ids: TaskIds, on_progress: OnProgress | None = None
    ) -> None:
        """Check every row. Raises InputError with the first invalid one."""
        self.fingerprint = identity.fingerprint
        self._identity = identity
        self._stem = identity.stem
        self._store = store
        self.close: Callable[[], object] = store.close
        """Closes the file, and what belongs to it."""
        self._columns = columns
        scan = FileScan(identity.path, identity.stem, store, columns, ids)
        scan.run(on_progress)
        self.declares_results = scan.declares_results
        """Whether a task declares the results of its tools."""
        self._kinds, self._unusual = scan.kinds, scan.unusual_targets
        self.kind = self._kinds.__getitem__
        try:
            columns.refuse_unfound()
        except InputError as error:
            raise InputError(f"{identity.path}: {error}") from error
        self.notes = [f"{identity.path}: {note}" for note in columns.notes]

    def __len__(self) -> int:
        return len(self._kinds)

    def __getitem__(self, row: int) -> Task:
        """Read a task. Raises InputError where the file has changed since the scan."""
        if not 0 <= row < len(self._kinds):
            raise IndexError(row)
        try:
            return self._columns.task(self._store.read(row), f"{self._stem}-{row + 1}")
        except (ValueError, OSError, InputError) as error:
            path = self._identity.path
            raise InputError(f"{path}: changed while it was in use (row {row + 1}: {error}); restore it") from error

    def kinds(self) -> Iterator[tuple[str, str]]:
        """Yield the kind of every row, in order."""
        return iter(self._kinds)

    def scorer(self, row: int) -> str | None:  # noqa: ARG002 - one for the whole file
        """Return the scorer of the file."""
        return self._identity.scorer

    @property
    def is_bound(self) -> bool:
        """Whether the file is for some models only."""
        return self._identity.models is not None

    def models(self, row: int) -> Sequence[str] | None:  # noqa: ARG002 - the same for the whole file
        """Return the models of the file."""
        return self._identity.models

    def unusual_targets(self) -> Iterable[int]:
        """Return the rows whose target is no text, or an empty one."""
        return self._unusual

    def origin(self, row: int) -> str:
        """Return the row's file and line."""
        return self._store.where(row)


class LoadedTasks:
    """A task set from a user's reader. All tasks are kept in memory, because the reader has no access by row."""

    def __init__(self, identity: Identity, reader: str, columns: Columns, ids: TaskIds) -> None:
        """Call the reader, "module:function", with the path. Raises InputError where it fails or yields an invalid task."""
        self.fingerprint = identity.fingerprint
        self._identity = identity
        self.notes: Sequence[str] = ()
        self._tasks: list[Task] = []
        with _current_directory_importable():
            function = _import_reader(reader, identity.path)
            try:
                for item in function(identity.path):
                    task = self._as_task(item, columns)
                    ids.add(task.task_id)
                    self._tasks.append(task)
            except InputError as error:
                raise InputError(f"{self.origin(len(self._tasks))}: {error}") from error
            except Exception as error:
                reason = f"the reader {reader} failed ({type(error).__name__}: {error})"
                raise InputError(f"{self.origin(len(self._tasks))}: {reason}") from error

    def _as_task(self, item: object, columns: Columns) -> Task:
        if isinstance(item, Task):
            return item
        if isinstance(item, Mapping):
            return columns.task(item, f"{self._identity.stem}-{len(self._tasks) + 1}")
        raise InputError(f"the reader must yield tasks or dicts, not {type(item).__name__}")

    def __len__(self) -> int:
        return len(self._tasks)

    def __getitem__(self, row: int) -> Task:
        return self._tasks[row]

    def kind(self, row: int) -> tuple[str, str]:
        """Return the row's task type and difficulty."""
        task = self._tasks[row]
        return task.task_type, task.difficulty

    def kinds(self) -> Iterator[tuple[str, str]]:
        """Yield the kind of every row, in order."""
        return map(self.kind, range(len(self)))

    def scorer(self, row: int) -> str | None:  # noqa: ARG002 - one for the whole set
        """Return the scorer of the set."""
        return self._identity.scorer

    @property
    def is_bound(self) -> bool:
        """Whether the set is for some models only."""
        return self._identity.models is not None

    def models(self, row: int) -> Sequence[str] | None:  # noqa: ARG002 - the same for the whole set
        """Return the models of the set."""
        return self._identity.models

    @property
    def declares_results(self) -> bool:
        """Whether a task declares the results of its tools."""
        return any(DECLARED in (task.metadata or ()) for task in self._tasks)

    def unusual_targets(self) -> Iterable[int]:
        """Return every row: nothing is known of them."""
        return range(len(self._tasks))

    def origin(self, row: int) -> str:
        """Return the row's file and item number."""
        return f"{self._identity.path}, item {row + 1}"

    def close(self) -> None:
        """Release the tasks."""
        self._tasks.clear()


def _import_reader(reader: str, path: Path) -> Callable[[Path], Iterable[object]]:
    module_name, _, function_name = reader.partition(":")
    if not module_name or not function_name:
        raise InputError(f'{path}: reader must be bfcl or "module:function", not "{reader}"')
    try:
        function: Callable[[Path], Iterable[object]] = getattr(import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{path}: the reader {reader} cannot be imported ({error}); check its name") from error
    return function


@contextmanager
def _current_directory_importable() -> Iterator[None]:
    directory = str(Path.cwd())
    sys.path.insert(0, directory)
    try:
        yield
    finally:
        if directory in sys.path:
            sys.path.remove(directory)
