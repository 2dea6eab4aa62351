"""Ordinals from the front, what is done skipped; what is given away comes from the end."""

from __future__ import annotations

import sys
from types import FrameType

import pytest

from runners.samples.bitmap import Bitmap
from runners.samples.shard_queue import ModelQueues, ShardQueue, TakenOrdinal


class Alike:
    """Peers that are all equally fast."""

    def rate_per_s(self, name: str) -> float:
        return 1.0

    def is_silent(self, name: str) -> bool:
        return False


def a_bitmap(size: int, *done: int) -> Bitmap:
    bitmap = Bitmap(size)
    for ordinal in done:
        bitmap.add(ordinal)
    return bitmap


def test_every_ordinal_comes_once_and_in_order() -> None:
    queue = ShardQueue([range(3), range(7, 9), range(5, 5), range(20, 21)], a_bitmap(30))
    assert [queue.take() for _ in range(8)] == [0, 1, 2, 7, 8, 20, None, None]


def test_what_is_done_is_skipped_also_when_it_was_done_meanwhile() -> None:
    done = a_bitmap(10, 0, 2)
    queue = ShardQueue([range(5)], done)
    assert queue.take() == 1
    done.add(3)
    assert [queue.take(), queue.take()] == [4, None]


def test_a_closed_queue_is_at_its_end() -> None:
    queue = ShardQueue([range(5)], a_bitmap(5))
    queue.take()
    queue.close()
    assert queue.take() is None
    assert len(queue) == 0


def test_a_range_of_a_million_is_not_unrolled() -> None:
    queue = ShardQueue([range(10**6)], a_bitmap(10**6))
    assert len(queue) == 10**6
    assert [queue.take(), queue.take()] == [0, 1]
    assert len(queue) == 10**6 - 2


def test_a_bit_set_twice_counts_once() -> None:
    bitmap = a_bitmap(17, 16, 0, 16)
    assert bitmap.count == 2
    assert [ordinal for ordinal in range(17) if ordinal in bitmap] == [0, 16]


@pytest.mark.parametrize(
    ("count", "given", "kept"),
    [
        (0, [], [0, 1, 2, 3, 10, 12, 14]),
        (2, [12, 14], [0, 1, 2, 3, 10]),
        (4, [3, 10, 12, 14], [0, 1, 2]),
        (7, [0, 1, 2, 3, 10, 12, 14], []),
        (9, [0, 1, 2, 3, 10, 12, 14], []),
    ],
)
def test_what_is_given_away_is_the_end_in_its_order(count: int, given: list[int], kept: list[int]) -> None:
    queue = ShardQueue([range(4), range(10, 15, 2)], Bitmap(20))
    assert [ordinal for part in queue.split(count) for ordinal in part] == given
    assert len(queue) == len(kept)
    assert [queue.take() for _ in kept] == kept
    assert queue.take() is None


def test_an_instance_without_work_takes_the_last_half_and_its_owner_goes_on_from_the_front() -> None:
    done = Bitmap(8)
    queues = {"busy": ShardQueue([range(8)], done), "idle": ShardQueue([], done)}
    model = ModelQueues(queues, Alike(), done=done, rebalances=True)
    taken = [model.take(name) for name in ("idle", "busy", "idle", "busy")]
    assert taken == [TakenOrdinal(4, "busy"), TakenOrdinal(0, "busy"), TakenOrdinal(5, "busy"), TakenOrdinal(1, "busy")]


def test_the_queues_are_reported_empty_when_the_last_sample_is_taken_though_its_instance_asks_for_no_more() -> None:
    done = Bitmap(2)
    queues = {name: ShardQueue(parts, done) for name, parts in (("a", [range(2)]), ("b", []), ("c", []))}
    model = ModelQueues(queues, Alike(), done=done, rebalances=True)
    assert [model.take(name) for name in ("a", "b")] == [TakenOrdinal(0, "a"), TakenOrdinal(1, "a")]
    assert not model.emptied.is_set()
    assert model.take("c") is None
    assert model.emptied.is_set()


def test_without_rebalancing_the_queues_are_not_empty_while_another_instance_has_samples() -> None:
    done = Bitmap(3)
    queues = {"a": ShardQueue([], done), "b": ShardQueue([range(1)], done), "c": ShardQueue([range(1, 3)], done)}
    model = ModelQueues(queues, Alike(), done=done, rebalances=False)
    assert model.take("a") is None
    assert not model.emptied.is_set()
    assert [model.take("b"), model.take("b")] == [TakenOrdinal(0, "b"), None]
    assert not model.emptied.is_set()
    assert [model.take("c"), model.take("c")] == [TakenOrdinal(1, "c"), TakenOrdinal(2, "c")]
    assert model.take("a") is None
    assert model.emptied.is_set()


def calls_to_the_end_per_sample(instances: int, *, rebalances: bool) -> float:
    """Count the Python calls of a stage of four samples per instance, in which one instance asks much more often than the others."""
    samples, calls = 4 * instances, 0
    done, names = Bitmap(samples), [f"i{number}" for number in range(instances)]
    queues = {name: ShardQueue([range(number, samples, instances)], done) for number, name in enumerate(names)}
    model = ModelQueues(queues, Alike(), done=done, rebalances=rebalances)

    def count(frame: FrameType, event: str, arg: object) -> None:
        nonlocal calls
        calls += event == "call"

    asking = names.copy()
    sys.setprofile(count)
    try:
        while asking:
            asking = [name for name in asking if model.take(names[0]) and model.take(name)]
        for name in names:
            while model.take(name):
                pass
    finally:
        sys.setprofile(None)
    return calls / samples


@pytest.mark.parametrize("rebalances", [True, False])
def test_the_end_of_a_stage_costs_as_much_per_sample_with_a_thousand_instances_as_with_a_hundred(
    rebalances: bool,
) -> None:
    few, many = (calls_to_the_end_per_sample(instances, rebalances=rebalances) for instances in (100, 1_000))
    assert many < 1.2 * few
