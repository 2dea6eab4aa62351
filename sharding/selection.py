"""Selects the rows of the task sets for a sweep: by difficulty, by task type, by number per kind and in total."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import chain, islice

from providers.errors import InputError
from providers.seeded_draws import draw_uniform
from providers.suggestion import suggestion

from .tasks.task import TaskSet


@dataclass(frozen=True, slots=True)
class Selection:
    """The criteria of a selection; None means no restriction.

    Rows are taken in file order, or at random with `sample_seed`; either way a larger selection contains a smaller one.
    """

    difficulties: Collection[str] | None = None
    task_types: Collection[str] | None = None
    num_instances: int | None = None
    """Most tasks of every (task type, difficulty)."""
    limit: int | None = None
    """Most tasks in total."""
    sample_seed: int | None = None
    """The seed of a random choice for `num_instances` and `limit`; None takes the first rows."""

    def __post_init__(self) -> None:
        for name, value in (("num_instances", self.num_instances), ("limit", self.limit)):
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, not {value}")

    @property
    def is_by_kind(self) -> bool:
        """Whether the selection depends on task type or difficulty."""
        return not (self.difficulties is None and self.task_types is None and self.num_instances is None)


def select_rows(tasks: TaskSet, selection: Selection) -> Sequence[int]:
    """Return the selected rows, ascending: eight bytes each, or a range without criteria by kind. Raises InputError where none is left."""
    rows: Sequence[int]
    if selection.sample_seed is not None and (selection.num_instances or selection.limit):
        _refuse_unknown_kinds(tasks, selection)
        rows = _sampled_rows(tasks, selection, selection.sample_seed)
    elif not selection.is_by_kind:
        rows = range(len(tasks))[: selection.limit]
    else:
        _refuse_unknown_kinds(tasks, selection)
        rows = array("Q", islice(_matching_rows(tasks, selection), selection.limit))
    if not rows:
        raise InputError(f"no tasks are left: {_describe(tasks)}; change difficulties or task_types")
    return rows


def _refuse_unknown_kinds(tasks: TaskSet, selection: Selection) -> None:
    kinds = set(tasks.kinds())
    _refuse_unknown("task type", selection.task_types, {task_type for task_type, _ in kinds})
    _refuse_unknown("difficulty", selection.difficulties, {difficulty for _, difficulty in kinds})


def _refuse_unknown(what: str, names: Collection[str] | None, present: Collection[str]) -> None:
    for name in names or ():
        if name not in present:
            raise InputError(f'no task has the {what} "{name}"; {suggestion(name, present)}')


def _matching_rows(tasks: TaskSet, selection: Selection) -> Iterator[int]:
    most_per_kind = selection.num_instances
    taken: Counter[tuple[str, str]] = Counter()
    for row, kind in enumerate(tasks.kinds()):
        if not _matches(kind, selection):
            continue
        if most_per_kind is None or taken[kind] < most_per_kind:
            taken[kind] += 1
            yield row


def _sampled_rows(tasks: TaskSet, selection: Selection, seed: int) -> Sequence[int]:
    """Draw a number for every matching row, and take those with the lowest ones of every kind, then in total."""
    lowest: dict[tuple[str, str], list[tuple[float, int]]] = {}
    for row, kind in enumerate(tasks.kinds()):
        if _matches(kind, selection):
            lowest.setdefault(kind, []).append((draw_uniform(seed, "task", str(row)), row))
    chosen = chain.from_iterable(
        drawn if selection.num_instances is None else nsmallest(selection.num_instances, drawn)
        for drawn in lowest.values()
    )
    drawn = list(chosen) if selection.limit is None else nsmallest(selection.limit, chosen)
    return array("Q", sorted(row for _, row in drawn))


def _matches(kind: tuple[str, str], selection: Selection) -> bool:
    task_type, difficulty = kind
    if selection.task_types is not None and task_type not in selection.task_types:
        return False
    return selection.difficulties is None or difficulty in selection.difficulties


def _describe(tasks: TaskSet) -> str:
    kinds = sorted(Counter(tasks.kinds()).items())
    listed = ", ".join(f"{count} {task_type}/{difficulty}" for (task_type, difficulty), count in kinds)
    return f"the task sets hold {listed or 'nothing'} (task type/difficulty)"
