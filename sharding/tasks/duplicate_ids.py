"""The kinds of all rows of a task set, and the check for duplicate ids, in a few bytes per row.

A row takes four bytes for the kind as long as the set is open, and eight for the id while the set is being opened.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from providers.errors import InputError

from .field_values import FILE
from .task import TaskSet

BUCKETS = 256
TELLING_APART = frozenset(
    {"level", "difficulty", "difficulty_level", "task_type", "subject", "category", "type", "split", "variant"}
)
"""Columns that often tell tasks of one id apart, for the message."""


class TaskKinds:
    """The (task_type, difficulty) of every row, stored as indexes into the list of different pairs."""

    def __init__(self) -> None:
        self._codes = array("I")
        self._code_of: dict[tuple[str, str], int] = {}
        self._pairs: list[tuple[str, str]] = []

    def add(self, task_type: str, difficulty: str) -> None:
        """Add the kind of the next row."""
        pair = (task_type, difficulty)
        code = self._code_of.get(pair)
        if code is None:
            code = self._code_of[pair] = len(self._pairs)
            self._pairs.append(pair)
        self._codes.append(code)

    def __len__(self) -> int:
        return len(self._codes)

    def __getitem__(self, row: int) -> tuple[str, str]:
        return self._pairs[self._codes[row]]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return map(self._pairs.__getitem__, self._codes)


class TaskIds:
    """A check for duplicate ids that keeps only 64-bit hashes, in buckets that are examined one at a time."""

    def __init__(self) -> None:
        self._buckets = [array("q") for _ in range(BUCKETS)]

    def add(self, task_id: str) -> None:
        """Add the hash of an id."""
        digest = hash(task_id)
        self._buckets[digest % BUCKETS].append(digest)

    def repeated(self) -> frozenset[int]:
        """Return the hashes that occur more than once. Two different ids may share a hash, so compare the ids as well."""
        return frozenset(digest for bucket in self._buckets for digest in _repeats(bucket))

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


def _repeats(bucket: array[int]) -> Iterator[int]:
    if len(set(bucket)) == len(bucket):
        return
    seen: set[int] = set()
    for digest in bucket:
        if digest in seen:
            yield digest
        seen.add(digest)
