"""Whose work is taken over, and how much of it."""

from __future__ import annotations

import pytest

from sharding.rebalance import Load, Theft, choose_theft

OWN = "thief"


def taken(own_rate: float, remaining: int, victim_rate: float) -> int:
    theft = choose_theft(OWN, {OWN: Load(0, own_rate), "victim": Load(remaining, victim_rate)})
    assert theft is not None
    assert theft.victim == "victim"
    return theft.count


@pytest.mark.parametrize(
    ("own_rate", "remaining", "victim_rate", "count"),
    [
        (1.0, 100, 1.0, 50),  # equally fast: half
        (1.0, 100, 3.0, 25),  # both finish after 25 s
        (1.0, 100, 9.0, 10),
        (2.0, 90, 4.0, 30),
        (9.0, 100, 1.0, 50),  # never more than half
        (5.0, 100, 0.0, 50),  # of an instance that is silent
        (0.0, 100, 0.0, 50),
        (0.0, 100, 5.0, 1),  # nothing is known of its own rate
        (1.0, 100, 1e9, 1),
        (1.0, 101, 1.0, 50),
        (5.0, 1, 0.0, 1),  # at least one, or nothing would move
        (1.0, 1, 1.0, 1),
    ],
)
def test_as_much_is_taken_as_makes_both_finish_together_and_at_most_half(
    own_rate: float, remaining: int, victim_rate: float, count: int
) -> None:
    assert taken(own_rate, remaining, victim_rate) == count


def test_the_shard_that_would_finish_last_gives() -> None:
    loads = {OWN: Load(0, 1.0), "many": Load(100, 10.0), "slow": Load(30, 1.0), "few": Load(5, 1.0)}
    assert choose_theft(OWN, loads) == Theft("slow", 15)


def test_a_shard_whose_instance_is_silent_would_never_finish() -> None:
    loads = {OWN: Load(0, 1.0), "slow": Load(1_000, 0.1), "silent": Load(4, 0.0)}
    assert choose_theft(OWN, loads) == Theft("silent", 2)


@pytest.mark.parametrize("others", [{}, {"empty": Load(0, 1.0)}])
def test_nothing_is_taken_where_nobody_has_any_left(others: dict[str, Load]) -> None:
    assert choose_theft(OWN, {OWN: Load(7, 1.0), **others}) is None
