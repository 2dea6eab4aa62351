"""Stealing moves work and never loses or doubles it."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from runners.samples.bitmap import Bitmap
from runners.samples.shard_queue import ModelQueues, ShardQueue


class Given:
    """Peers with given rates, silent at none."""

    def __init__(self, rates: Mapping[str, float]) -> None:
        self._rates = rates

    def rate_per_s(self, name: str) -> float:
        return self._rates[name]

    def is_silent(self, name: str) -> bool:
        return self._rates[name] == 0


@given(
    total=st.integers(0, 200),
    shards=st.integers(1, 5),
    done=st.sets(st.integers(0, 199)),
    turns=st.lists(st.integers(0, 4), max_size=400),
    rates=st.lists(st.floats(0, 10), min_size=5, max_size=5),
)
def test_every_open_ordinal_is_taken_once_whoever_asks(
    total: int, shards: int, done: set[int], turns: list[int], rates: list[float]
) -> None:
    bitmap = Bitmap(200)
    for ordinal in done:
        bitmap.add(ordinal)
    names = [f"i{index}" for index in range(shards)]
    queues = {name: ShardQueue([range(index, total, shards)], bitmap) for index, name in enumerate(names)}
    model = ModelQueues(queues, Given({f"i{n}": rate for n, rate in enumerate(rates)}), done=bitmap, rebalances=True)

    taken = [model.take(names[turn % shards]) for turn in turns]
    while (last := model.take(names[0])) is not None:
        taken.append(last)

    found = [one for one in taken if one is not None]
    assert sorted(one.ordinal for one in found) == [n for n in range(total) if n not in done]
    assert all(one.planned == names[one.ordinal % shards] for one in found)


@given(
    shards=st.integers(33, 60),
    turns=st.lists(st.integers(0, 59), max_size=120),
    rates=st.lists(st.floats(0, 10), min_size=60, max_size=60),
)
def test_every_ordinal_is_taken_once_also_from_more_shards_than_are_read_at_once(
    shards: int, turns: list[int], rates: list[float]
) -> None:
    bitmap, total = Bitmap(120), 120
    names = [f"i{index}" for index in range(shards)]
    queues = {name: ShardQueue([range(index, total, shards)], bitmap) for index, name in enumerate(names)}
    given_rates = Given({f"i{n}": rate for n, rate in enumerate(rates)})
    model = ModelQueues(queues, given_rates, done=bitmap, rebalances=True)

    taken = [model.take(names[turn % shards]) for turn in turns]
    while (last := model.take(names[0])) is not None:
        taken.append(last)

    assert sorted(each.ordinal for each in taken if each is not None) == list(range(total))
    assert model.emptied.is_set()


def test_the_plan_is_kept_without_rebalancing_unless_an_instance_is_out() -> None:
    bitmap = Bitmap(6)
    rates = {"a": 1.0, "b": 1.0}
    queues = {name: ShardQueue([range(index, 6, 2)], bitmap) for index, name in enumerate(rates)}
    model = ModelQueues(queues, Given(rates), done=bitmap, rebalances=False)

    own = [model.take("a") for _ in range(4)]
    rates["b"] = 0.0
    others = [model.take("a") for _ in range(4)]

    assert [one.ordinal for one in own if one] == [0, 2, 4]
    assert sorted(one.ordinal for one in others if one) == [1, 3, 5]
