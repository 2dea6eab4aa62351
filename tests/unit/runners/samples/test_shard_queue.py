"""Ordinals from the front, what is done skipped; what is given away comes from the end."""

from __future__ import annotations

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
