from __future__ import annotations

from collections.abc import Callable
from itertools import cycle, islice, product

import pytest

from providers.errors import InputError
from sharding.selection import Selection, select_rows
from sharding.tasks.sources import TaskPool


@pytest.fixture
def tasks(open_rows: Callable[..., TaskPool]) -> TaskPool:
    """Twelve rows: types a and b, easy and hard, in turn."""
    kinds = islice(cycle(product("ab", ["easy", "hard"])), 12)
    rows = [{"input": "?", "task_type": task_type, "difficulty": difficulty} for task_type, difficulty in kinds]
    return open_rows(rows)


def test_everything_is_a_range(tasks: TaskPool) -> None:
    assert select_rows(tasks, Selection()) == range(12)
    assert select_rows(tasks, Selection(limit=5)) == range(5)
    assert select_rows(tasks, Selection(limit=50)) == range(12)


@pytest.mark.parametrize(
    ("selection", "rows"),
    [
        (Selection(difficulties=["easy"]), [0, 2, 4, 6, 8, 10]),
        (Selection(task_types=["b"]), [2, 3, 6, 7, 10, 11]),
        (Selection(["hard"], ["a"]), [1, 5, 9]),
        (Selection(num_instances=1), [0, 1, 2, 3]),
        (Selection(difficulties=["easy"], num_instances=2), [0, 2, 4, 6]),
        (Selection(num_instances=2, limit=5), [0, 1, 2, 3, 4]),
        (Selection(num_instances=99, task_types=["a", "b"]), list(range(12))),
    ],
)
def test_the_first_rows_of_every_kind_are_taken(tasks: TaskPool, selection: Selection, rows: list[int]) -> None:
    assert list(select_rows(tasks, selection)) == rows


def test_a_difficulty_that_no_task_has_is_refused_with_what_there_is(tasks: TaskPool) -> None:
    with pytest.raises(InputError) as caught:
        select_rows(tasks, Selection(difficulties=["hrad"]))
    assert str(caught.value) == 'no task has the difficulty "hrad"; did you mean "hard"? Known: easy, hard'
    with pytest.raises(InputError, match='no task has the task type "c"; Known: a, b'):
        select_rows(tasks, Selection(task_types=["c"]))


def test_a_selection_that_leaves_nothing_is_refused(open_rows: Callable[..., TaskPool]) -> None:
    tasks = open_rows(
        [{"input": "?", "task_type": "a", "difficulty": "easy"}, {"input": "?", "task_type": "b", "difficulty": "hard"}]
    )
    with pytest.raises(InputError, match="no tasks are left: the task sets hold 1 a/easy, 1 b/hard"):
        select_rows(tasks, Selection(["hard"], ["a"]))


@pytest.mark.parametrize("wrong", [{"num_instances": 0}, {"limit": 0}])
def test_counts_are_at_least_one(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="must be at least 1, not 0"):
        Selection(None, None, **wrong)
