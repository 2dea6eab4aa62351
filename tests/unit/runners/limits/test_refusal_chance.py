"""The evidence that refusals come by chance."""

from __future__ import annotations

from runners.limits.refusal_chance import (
    FEWEST_TRIALS,
    MOST_IN_A_ROW,
    MOST_REFUSED_TRIALS,
    SLOWER,
    RefusalChance,
)


def found(every: int = 5) -> RefusalChance:
    """One of so many requests is refused, and each trial is accepted."""
    chance = RefusalChance()
    for _ in range(FEWEST_TRIALS):
        for index in range(every):
            chance.note(10.0, refused=index == 0)
        chance.tested(10.0, accepted=True)
    return chance


def test_accepted_trials_show_chance_and_slower_sending_tests_it() -> None:
    chance = found()
    assert chance.holds
    assert chance.pace == SLOWER * 10.0


def test_refusals_that_stay_as_frequent_confirm_it() -> None:
    chance = found()
    for _ in range(2):
        chance.note(6.0, refused=True)
    assert chance.holds
    assert chance.pace is None


def test_refusals_that_end_while_sending_slowly_refute_it() -> None:
    chance = found()
    for _ in range(100):
        chance.note(6.0, refused=False)
    assert not chance.holds
    assert not chance.is_possible
    assert chance.pace == SLOWER * 10.0


def test_refused_trials_end_the_trials() -> None:
    chance = RefusalChance()
    for _ in range(MOST_REFUSED_TRIALS):
        assert chance.is_possible
        chance.tested(10.0, accepted=False)
    assert not chance.is_possible
    assert not chance.is_suspected


def test_many_refusals_in_a_row_are_no_chance() -> None:
    chance = RefusalChance()
    chance.hold()
    for _ in range(MOST_IN_A_ROW - 1):
        chance.note(10.0, refused=True)
    assert chance.holds
    chance.note(10.0, refused=True)
    assert not chance.holds


def test_refusals_that_come_only_under_a_high_load_are_no_chance() -> None:
    chance = RefusalChance()
    chance.hold()
    for step in range(200):
        is_high = step % 5 == 0
        chance.note(20.0 + step % 3 if is_high else 10.0 + step % 3, refused=is_high)
    assert not chance.holds
