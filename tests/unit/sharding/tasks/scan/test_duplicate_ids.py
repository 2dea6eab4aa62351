from __future__ import annotations

from collections.abc import Callable

import pytest

from sharding.tasks.scan.duplicate_ids import TaskIds, TaskKinds
from sharding.tasks.sources import TaskPool


def test_kinds_are_kept_by_row() -> None:
    kinds = TaskKinds()
    pairs = [("a", "easy"), ("b", "easy"), ("a", "easy"), ("a", "hard")]
    for task_type, difficulty in pairs:
        kinds.add(task_type, difficulty)
    assert list(kinds) == pairs
    assert [kinds[row] for row in range(len(kinds))] == pairs


def test_only_ids_that_come_twice_are_suspected() -> None:
    ids = TaskIds()
    for number in range(10_000):
        ids.add(f"task-{number}")
    assert ids.repeated() == frozenset()
    ids.add("task-7")
    assert ids.repeated() == {hash("task-7")}


def test_two_ids_that_share_a_hash_are_not_accused(open_rows: Callable[..., TaskPool]) -> None:
    pool = open_rows([{"id": "a", "input": "1"}, {"id": "b", "input": "2"}])
    ids = TaskIds()
    for task_id in ("a", "a"):
        ids.add(task_id)
    ids.refuse_repeats(pool)


@pytest.mark.parametrize("count", [0, 1])
def test_few_ids_are_fine(count: int) -> None:
    ids = TaskIds()
    for number in range(count):
        ids.add(str(number))
    assert not ids.repeated()
