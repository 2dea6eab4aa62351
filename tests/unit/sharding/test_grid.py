"""The grid counts every sample once, and names it as the sweep does."""

from __future__ import annotations

from itertools import product

import pytest

from sharding.grid import Grid, lay_out_cells
from sharding.plan import Cell
from sharding.segments import BoundTasks


def test_cells_are_in_the_order_of_ordinals() -> None:
    found = lay_out_cells([1.0, 0.5], ["m"], ["a", "b"])
    assert found == [Cell("m", "a", 1.0), Cell("m", "b", 1.0), Cell("m", "a", 0.5), Cell("m", "b", 0.5)]


def test_every_cell_epoch_and_place_is_one_ordinal() -> None:
    grid = Grid(lay_out_cells([1.0], ["m", "n"], ["a"]), epochs=3, places=5, seed=0)
    assert [grid.locate(ordinal) for ordinal in range(len(grid))] == list(product(range(2), range(3), range(5)))
    for beyond in (-1, len(grid)):
        with pytest.raises(IndexError):
            grid.locate(beyond)


@pytest.mark.parametrize("segments", [None, [BoundTasks(2, ("m",)), BoundTasks(2, None), BoundTasks(1, ("n",))]])
def test_samples_are_located_together_as_they_are_one_by_one(segments: list[BoundTasks] | None) -> None:
    grid = Grid(lay_out_cells([1.0], ["m", "n"], ["a", "b"]), epochs=3, places=5, seed=0, segments=segments)
    ordinals = [*range(len(grid)), 7, 3]
    assert list(zip(*grid.locate_all(ordinals), strict=True)) == [grid.locate(ordinal) for ordinal in ordinals]


def test_names_differ_by_cell_task_and_epoch_and_seeds_by_task_and_epoch_alone() -> None:
    grid = Grid(lay_out_cells([1.0], ["m", "n"], ["a"]), epochs=2, places=2, seed=0)
    places = list(product(range(2), ("t", "u"), range(2)))
    assert len({grid.digest(*place) for place in places}) == len(places)
    assert len({grid.seed(task, epoch) for _, task, epoch in places}) == 4
    assert Grid(grid.cells, 2, 2, seed=1).seed("t", 0) != grid.seed("t", 0)


def test_samples_are_identified_together_as_they_are_one_by_one() -> None:
    grid = Grid(lay_out_cells([1.0], ["m", "n"], ["baseline"]), 2, 3, 7)
    samples = list(product(range(2), ["a", "é", "task 3"], range(2)))
    cells, task_ids, epochs = zip(*samples, strict=True)
    ids, seeds = grid.identify(cells, task_ids, epochs)
    assert ids == [grid.digest(*sample).hex() for sample in samples]
    assert seeds == [grid.seed(task_id, epoch) for _, task_id, epoch in samples]
