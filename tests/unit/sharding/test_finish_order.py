"""The shard that would finish last is found by reading few loads, however many shards there are."""

from __future__ import annotations

import pytest

from sharding.finish_order import READ_AT_ONCE, FinishOrder
from sharding.rebalance import Load


class Shards:
    """Shards whose loads can be set; it counts how often one is read."""

    def __init__(self, count: int) -> None:
        self.loads = {f"i{number}": Load(10, 1.0) for number in range(count)}
        self.reads = 0
        self.order = FinishOrder(list(self.loads), self.load)

    def load(self, name: str) -> Load:
        self.reads += 1
        return self.loads[name]

    def last(self) -> str:
        loads = self.order.last_to_finish()
        return max(loads, key=lambda name: loads[name].remaining / max(loads[name].rate_per_s, 1e-9))


@pytest.mark.parametrize("count", [3, READ_AT_ONCE])
def test_of_few_shards_every_change_is_seen_at_once(count: int) -> None:
    shards = Shards(count)
    for name in shards.loads:
        shards.loads[name] = Load(11, 1.0)
        assert shards.last() == name
        shards.loads[name] = Load(10, 1.0)


def test_a_shard_that_has_become_smaller_is_not_taken_for_the_last() -> None:
    shards = Shards(1_000)
    shards.loads["i500"], shards.loads["i600"] = Load(90, 1.0), Load(80, 1.0)
    assert shards.last() == "i500"
    shards.loads["i500"] = Load(0, 1.0)
    assert shards.last() == "i600"


def test_a_shard_whose_instance_has_fallen_silent_is_found_within_one_round_of_reading() -> None:
    shards = Shards(1_000)
    shards.last()
    shards.loads["i999"] = Load(1, 0.0)
    questions = next(number for number in range(1, 1_000) if shards.last() == "i999")
    assert questions <= 1_000 / READ_AT_ONCE + 1


def test_a_question_reads_as_much_of_a_thousand_shards_as_of_a_hundred() -> None:
    def reads_of_fifty_questions(count: int) -> int:
        shards = Shards(count)
        shards.last()
        shards.reads = 0
        for _question in range(50):
            shards.loads[shards.last()] = Load(0, 1.0)
        return shards.reads

    assert reads_of_fifty_questions(1_000) <= reads_of_fifty_questions(100) + 50


def test_without_remaining_samples_no_shard_is_last() -> None:
    shards = Shards(2)
    shards.loads = dict.fromkeys(shards.loads, Load(0, 1.0))
    assert not any(load.remaining for load in shards.order.last_to_finish().values())
