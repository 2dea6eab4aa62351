import math

import pytest

from runners.limits.adaptive.ledger import SLACK_S, SendLedger
from runners.limits.adaptive.rate.rate_model import (
    FASTEST,
    FIRST_SCALE_S,
    FLOW,
    MINUTE,
    MOST_RISE,
    SLOWEST,
    TEN_SECONDS,
    RateModel,
)

ONE = (1.0, 100.0, 600.0, 0.0)


def known(level: int, limits: list[float]) -> RateModel:
    model = RateModel()
    model.restore(level, limits)
    return model


def test_a_limit_is_asked_for_by_a_cubic_and_then_ever_more_boldly() -> None:
    model = known(FLOW, [5.0, math.inf, math.inf, math.inf])
    shares = [model.factor(x * model.scale_s) for x in (0, 1, 2, 2 + 1 / FASTEST, 2 + 2 / FASTEST)]
    assert shares == pytest.approx([0.97, 1.0, 1.03, 1.06, 1.12])
    assert model.factor(1e9) == 1 + MOST_RISE


def test_what_is_asked_for_above_the_limit_of_a_window_doubles_with_each_window() -> None:
    model = known(MINUTE, [300.0, math.inf, math.inf, math.inf])
    assert [model.factor(at) for at in (120.0, 180.0, 240.0)] == pytest.approx([1.03, 1.06, 1.12])


def test_what_is_asked_for_above_a_slow_flow_doubles_with_eight_requests_but_not_ever_more_slowly() -> None:
    for rate, doubling_s in ((1.0, 8.0), (0.01, FIRST_SCALE_S / SLOWEST)):
        model = known(FLOW, [rate, math.inf, math.inf, math.inf])
        assert model.factor(2 * model.scale_s + doubling_s) == pytest.approx(1.06)


def test_a_few_requests_per_window_are_raised_by_a_whole_one() -> None:
    model = known(TEN_SECONDS, [3.0, math.inf, math.inf, math.inf])
    assert 3 * model.factor(2 * model.scale_s) == pytest.approx(4.0)


def test_a_told_window_that_allowed_more_lately_is_raised_by_a_quarter() -> None:
    model = known(MINUTE, [300.0, math.inf, math.inf, math.inf])
    model.is_told = model.was_higher = True
    assert model.factor(2 * model.scale_s) == pytest.approx(1.25)


def test_a_window_whose_length_is_being_probed_is_not_exceeded() -> None:
    model = known(TEN_SECONDS, [3.0, math.inf, math.inf, math.inf])
    model.is_exact = False
    assert model.factor(1e6) == 1.0


def test_a_flow_spaces_sends_by_the_unit_that_takes_longest() -> None:
    model = known(FLOW, [5.0, 250.0, 6000.0, math.inf])
    assert model.gap_s(ONE, model.scale_s) == pytest.approx(100 / 250)


def test_a_window_is_paced_a_fifth_faster_than_it_refills() -> None:
    model = known(MINUTE, [300.0, math.inf, math.inf, math.inf])
    assert model.gap_s(ONE, model.scale_s) == pytest.approx(60 / 300 / 1.2)


def test_what_is_asked_for_of_a_window_is_the_rate_of_the_unit_that_takes_longest() -> None:
    assert RateModel().asked_rate(200.0, 0.0) == math.inf
    model = known(MINUTE, [300.0, 12_000.0, math.inf, math.inf])
    assert model.asked_rate(0.0, model.scale_s) == pytest.approx(5.0)
    assert model.asked_rate(200.0, model.scale_s) == pytest.approx(1.0)
    assert model.asked_rate(200.0, 3 * model.scale_s) == pytest.approx(1.06)


def test_a_full_window_opens_when_its_oldest_entry_leaves() -> None:
    model, ledger = known(TEN_SECONDS, [2.0, math.inf, math.inf, math.inf]), SendLedger()
    ledger.add(ONE, 1.0)
    assert model.opens_at(ONE, ledger, 2.0) == 2.0
    ledger.add(ONE, 2.0)
    assert model.opens_at(ONE, ledger, 3.0) == 11.0 + SLACK_S


def test_a_request_larger_than_the_window_is_not_held_for_ever() -> None:
    assert known(MINUTE, [10.0, 50.0, math.inf, math.inf]).opens_at(ONE, SendLedger(), 5.0) == 5.0


def test_answers_in_flight_do_not_hold_back_under_a_limit_that_counts_answers() -> None:
    model, ledger = known(MINUTE, [math.inf, math.inf, math.inf, 100.0]), SendLedger()
    for at in (0.0, 1.0, 2.0):
        ledger.add(ONE, at)
    assert model.opens_at(ONE, ledger, 3.0) == 3.0
    ledger.add((0.0, 0.0, 0.0, 130.0), 4.0)
    assert model.opens_at(ONE, ledger, 5.0) == 64.0 + SLACK_S


def test_whole_requests_are_not_lost_to_the_dip() -> None:
    model, ledger = known(TEN_SECONDS, [60.0, math.inf, math.inf, math.inf]), SendLedger()
    for step in range(59):
        ledger.add(ONE, 0.1 * step)
    assert model.factor(0.0) < 1
    assert model.opens_at(ONE, ledger, 6.0) == 6.0


def test_no_limit_is_an_infinite_rate() -> None:
    model = RateModel()
    assert model.rate == math.inf
    assert model.gap_s(ONE, 0.0) == 0.0


def test_the_dip_below_a_limit_costs_no_whole_request_and_no_gap_is_longer_than_the_window() -> None:
    ledger = SendLedger()
    for at in (0.0, 0.1):
        ledger.add(ONE, at)
    few = known(TEN_SECONDS, [3.0, 300.0, 1800.0, math.inf])
    assert few.factor(0.2) < 1
    assert few.opens_at(ONE, ledger, 0.2) == 0.2
    late = known(TEN_SECONDS, [1.0, 100.0, 600.0, 50.0])
    assert late.gap_s(ONE, late.scale_s) == pytest.approx(10.0 / 1.2)
