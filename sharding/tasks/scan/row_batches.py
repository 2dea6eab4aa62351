"""The check of many rows at once: where all of a batch are usual, nothing is built for a single one.

A batch with a row that may be wrong, or that is read in an unusual way, is left to `Columns.fields`, which checks row by row and says what
is wrong. So a batch may pass here only if every row of it passes there, with the same ids and kinds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from providers.messages import JSON

from ..columns import Row
from ..tool_results import DECLARED

DEFAULT_KIND = "default"
LABELS = frozenset({str, int, float, bool, type(None)})
"""The types of a value that can name or group a task."""
PLAIN_TARGETS = LABELS
"""The types of a target that JSON can hold, whatever the value."""


class RowBatch(Protocol):
    """Neighbouring rows of a file. A column is asked for only if it is among `columns`."""

    @property
    def columns(self) -> Collection[str]:
        """The columns that any of the rows has."""
        ...

    def __len__(self) -> int: ...

    def rows(self) -> Iterator[Row]:
        """Yield the rows. Raises InputError with file and line."""
        ...

    def values(self, column: str) -> Sequence[JSON] | None:
        """Return the value of every row; None where a row lacks the column, or the values are not simple."""
        ...

    def has_texts(self, column: str) -> bool:
        """Return whether every value is a text; False where that is not certain."""
        ...

    def has_messages(self, column: str) -> bool:
        """Return whether every value is a list of messages with a role and a text only; False where that is not certain."""
        ...

    def has_objects(self, column: str, without: str) -> bool:
        """Return whether every value is null or an object that JSON can hold, without this key; False where that is not certain."""
        ...


@runtime_checkable
class BatchedRows(Protocol):
    """A row store that can yield its rows in batches as well."""

    def batches(self) -> Iterator[RowBatch]:
        """Yield every row once, in order, and index the rows. Raises InputError with file and line."""
        ...


@dataclass(frozen=True, slots=True)
class UsualTasks:
    """What a scan keeps of a batch whose rows are all usual, by row."""

    ids: Sequence[str]
    task_types: Sequence[str]
    difficulties: Sequence[str]
    targets: Sequence[JSON]


@dataclass(frozen=True, slots=True)
class BatchReading:
    """How the batches of a file are read."""

    columns: Mapping[str, str]
    """The one column of every task field that the rows have."""
    needs_input: bool
    stem: str
    """Part of the ids of tasks without one."""

    def usual_tasks(self, batch: RowBatch, first: int) -> UsualTasks | None:
        """Return what is kept of a batch that starts at row `first`; None where it must be checked row by row."""
        if not batch.columns or not self._has_usual_input(batch) or not self._has_usual_extras(batch):
            return None
        targets = self._values(batch, "target")
        if targets is None or not PLAIN_TARGETS.issuperset(map(type, targets)):
            return None
        ids = self._ids(batch, first)
        task_types, difficulties = self._labels(batch, "task_type"), self._labels(batch, "difficulty")
        if ids is None or task_types is None or difficulties is None or self._labels(batch, "family") is None:
            return None
        return UsualTasks(ids, task_types, difficulties, targets)

    def _has_usual_input(self, batch: RowBatch) -> bool:
        text, messages, system = map(self.columns.get, ("input", "messages", "system"))
        if system is not None and not batch.has_texts(system):
            return False
        if text is None and messages is None:
            return not self.needs_input
        if text is None or messages is None:
            return batch.has_texts(text) if text is not None else batch.has_messages(str(messages))
        return False

    def _has_usual_extras(self, batch: RowBatch) -> bool:
        metadata, tools = self.columns.get("metadata"), self.columns.get("tools")
        if tools is not None and set(map(type, batch.values(tools) or [tools])) != {type(None)}:
            return False
        return metadata is None or batch.has_objects(metadata, without=DECLARED)

    def _ids(self, batch: RowBatch, first: int) -> Sequence[str] | None:
        values = self._values(batch, "id")
        labels = None if values is None else labels_of(values, "")
        if labels is None or all(labels):
            return labels
        return [label or f"{self.stem}-{row}" for row, label in enumerate(labels, start=first + 1)]

    def _labels(self, batch: RowBatch, field: str) -> Sequence[str] | None:
        if field not in self.columns:
            return [DEFAULT_KIND] * len(batch)
        values = batch.values(self.columns[field])
        return None if values is None else labels_of(values, DEFAULT_KIND)

    def _values(self, batch: RowBatch, field: str) -> Sequence[JSON] | None:
        column = self.columns.get(field)
        return [None] * len(batch) if column is None else batch.values(column)


def labels_of(values: Sequence[JSON], default: str) -> Sequence[str] | None:
    """Return the labels that values stand for, `default` for a null; None where one is empty or no text or number."""
    types = set(map(type, values))
    if types == {str}:
        return values if all(values) else None  # type: ignore[return-value]  # all of them are texts
    if not types <= LABELS or "" in values:
        return None
    return [default if value is None else str(value) for value in values]
