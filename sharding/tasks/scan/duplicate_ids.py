"""The kinds of all rows of a task set, and the check for duplicate ids, in a few bytes per row.

A row takes four bytes for the kind as long as the set is open, and eight for the id while the set is being opened.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from providers.errors import InputError

from ..field_values import FILE
from ..task import TaskSet

TELLING_APART = frozenset(
    {"level", "difficulty", "difficulty_level", "task_type", "subject", "category", "type", "split", "variant"}
)
"""Columns that often tell tasks of one id apart, for the message."""


class _KindCodes(dict[tuple[str, str], int]):
    """The code of every (task_type, difficulty), an index into `pairs`: a new pair gets the next one."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[tuple[str, str]] = []

    def __missing__(self, pair: tuple[str, str]) -> int:
        code = self[pair] = len(self.pairs)
        self.pairs.append(pair)
        return code


class TaskKinds:
    """The (task_type, difficulty) of every row, stored as indexes into the list of different pairs."""

    def __init__(self) -> None:
        self._codes = array("I")
        self._code_of = _KindCodes()

    def add(self, task_type: str, difficulty: str) -> None:
        """Add the kind of the next row."""
        self._codes.append(self._code_of[task_type, difficulty])

    def extend(self, task_types: Sequence[str], difficulties: Sequence[str]) -> None:
        """Add the kinds of the next rows."""
        self._codes.extend(map(self._code_of.__getitem__, zip(task_types, difficulties, strict=True)))

    def __len__(self) -> int:
        return len(self._codes)

    def __getitem__(self, row: int) -> tuple[str, str]:
        return self._code_of.pairs[self._codes[row]]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return map(self._code_of.pairs.__getitem__, self._codes)


class TaskIds:
    """A check for duplicate ids that keeps only their 64-bit hashes."""

    def __init__(self) -> None:
        self._hashes = array("q")

    def add(self, task_id: str) -> None:
        """Add the hash of an id."""
        self._hashes.append(hash(task_id))

    def extend(self, task_ids: Iterable[str]) -> None:
        """Add the hashes of ids."""
        self._hashes.extend(map(hash, task_ids))

    def repeated(self) -> frozenset[int]:
        """Return the hashes that occur more than once. Two different ids may share a hash, so compare the ids as well."""
        if len(self._hashes) < 2:
            return frozenset()
        hashes = pa.Array.from_buffers(pa.int64(), len(self._hashes), [None, pa.py_buffer(self._hashes)])
        ordered = hashes.take(pc.array_sort_indices(hashes))
        return frozenset(ordered[1:].filter(pc.equal(ordered[1:], ordered[:-1])).to_pylist())

    def refuse_repeats(self, tasks: TaskSet) -> None:
        """Raise InputError with both locations where `tasks` uses an id twice. Reads the rows again only if a hash repeats."""
        repeated = self.repeated()
        if not repeated:
            return
        rows: dict[str, int] = {}
        for row in range(len(tasks)):
            task_id = tasks[row].task_id
            if hash(task_id) not in repeated:
                continue
            if task_id in rows:
                raise InputError(_used_twice(tasks, rows[task_id], row))
            rows[task_id] = row


def _used_twice(tasks: TaskSet, first: int, second: int) -> str:
    """Describe an id that stands twice, with both places and a remedy in the words of the file."""
    task, places = tasks[second], (tasks.origin(first), tasks.origin(second))
    column = next((name for name, value in task.columns.items() if str(value) == task.task_id), "id")
    of_one_file = len({place.rpartition(", ")[0] for place in places}) == 1
    other = next((name for name in task.columns if name in TELLING_APART and name != column), "another column")
    remedy = f'fields: {{id: "{{{column}}}.{{{other if of_one_file else FILE}}}"}}'
    return f'the task id "{task.task_id}" is used twice: {" and ".join(places)}; give every task a unique id, e.g. with {remedy}'
