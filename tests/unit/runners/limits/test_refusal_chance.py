"""The evidence that refusals come by chance."""

from __future__ import annotations

import random

from runners.limits.refusal_chance import (
    FEWEST_TRIALS,
    FIRST_REPEAT,
    MOST_IN_A_ROW,
    MOST_REFUSED_TRIALS,
    RECENT,
    SLOWER,
    RefusalChance,
)


class Noted:
    """Notes one request after another, each a second later."""

    def __init__(self) -> None:
        self.chance = RefusalChance()
        self._now = 0.0

    def note(self, load: float, *, refused: bool) -> None:
        self._now += 1
        self.chance.note(self._now, load, self._now, refused=refused)


def found() -> Noted:
    """One of five requests is refused, and each trial is accepted."""
    noted = Noted()
    for _ in range(FEWEST_TRIALS):
        for index in range(5):
            noted.note(10.0, refused=index == 0)
        noted.chance.tested(accepted=True)
    return noted


def slowed_down() -> Noted:
    """As before, until slower sending tests it."""
    noted = found()
    for index in range(RECENT):
        if noted.chance.pace is None:
            noted.note(10.0, refused=index % 5 == 0)
    return noted


def test_accepted_trials_show_chance_and_slower_sending_tests_it_once_enough_is_known() -> None:
    noted = found()
    assert noted.chance.holds
    assert noted.chance.pace is None
    assert slowed_down().chance.pace == SLOWER * 10.0


def test_refusals_that_stay_as_frequent_confirm_it() -> None:
    noted = slowed_down()
    for _ in range(2):
        noted.note(6.0, refused=True)
    assert noted.chance.holds
    assert noted.chance.pace is None


def test_refusals_that_end_while_sending_slowly_refute_it() -> None:
    noted = slowed_down()
    for _ in range(100):
        noted.note(6.0, refused=False)
    assert not noted.chance.holds
    assert not noted.chance.may_be_tested()
    assert noted.chance.pace == SLOWER * 10.0


def test_refused_trials_make_trials_rare_and_accepted_ones_make_them_frequent_again() -> None:
    chance = RefusalChance()
    for _ in range(MOST_REFUSED_TRIALS):
        assert chance.may_be_tested()
        chance.tested(accepted=False)
    assert not chance.is_suspected
    assert [chance.may_be_tested() for _ in range(FIRST_REPEAT)] == [*[False] * (FIRST_REPEAT - 1), True]
    chance.tested(accepted=False)
    assert [chance.may_be_tested() for _ in range(2 * FIRST_REPEAT)].index(True) == 2 * FIRST_REPEAT - 1
    chance.tested(accepted=True)
    assert chance.may_be_tested()


def test_many_refusals_in_a_row_are_no_chance() -> None:
    noted = Noted()
    noted.chance.hold()
    for _ in range(MOST_IN_A_ROW - 1):
        noted.note(10.0, refused=True)
    assert noted.chance.holds
    noted.note(10.0, refused=True)
    assert not noted.chance.holds


def test_refusals_that_come_only_under_a_high_load_are_no_chance() -> None:
    noted = Noted()
    noted.chance.hold()
    for step in range(200):
        is_high = step % 5 == 0
        noted.note(20.0 + step % 3 if is_high else 10.0 + step % 3, refused=is_high)
    assert not noted.chance.holds


def test_a_rising_load_does_not_look_like_a_cause_because_answers_come_later_than_refusals() -> None:
    for seed in range(20):
        chance, draw = RefusalChance(), random.Random(seed)
        chance.hold()
        events = []
        for step in range(300):
            sent_at, refused = 0.03 * step, draw.random() < 0.2
            events.append((sent_at + (0.01 if refused else 0.5), sent_at, refused))
        for now, sent_at, refused in sorted(events):
            chance.note(sent_at, min(30.0, 10 * sent_at), now, refused=refused)
        assert chance.holds
