import pytest

from runners.limits.adaptive.episode import Episode
from runners.limits.adaptive.rate.refill import RefillEstimator


def refusal(at: float, requests: float, capped_s: float = 0.0) -> Episode:
    accepted = [requests, 100 * requests, 600 * requests, 100 * requests]
    return Episode(at, at, [[0.0] * 4] * 3, accepted, capped_s, (1.0, 100.0, 600.0, 0.0), 0, at)


def test_the_first_refusal_ends_a_burst_of_unknown_size_and_says_nothing() -> None:
    assert RefillEstimator().measure(refusal(10.0, 300)) is None


def test_many_accepts_between_two_empty_moments_are_the_refill() -> None:
    flow = RefillEstimator()
    flow.measure(refusal(10.0, 300))
    stretch = flow.measure(refusal(20.0, 350))
    assert stretch is not None
    assert stretch.stands_alone
    assert stretch.rates == pytest.approx([5.0, 500.0, 3000.0, 500.0])


def test_few_accepts_are_put_together_with_the_stretch_before_and_rounded_up() -> None:
    flow = RefillEstimator()
    for at, requests in ((0.0, 0.0), (2.0, 10.0)):
        flow.measure(refusal(at, requests))
    stretch = flow.measure(refusal(4.0, 20.0))
    assert stretch is not None
    assert stretch.requests == 20.0
    assert stretch.rates[0] == pytest.approx(21 / 4)


def test_a_changed_refill_is_not_mixed_with_the_past() -> None:
    flow = RefillEstimator()
    for at, requests in ((0.0, 0.0), (10.0, 50.0), (12.0, 53.0)):
        flow.measure(refusal(at, requests))
    stretch = flow.measure(refusal(14.0, 56.0))
    assert stretch is not None
    assert stretch.rates[0] == pytest.approx(7 / 4)


def test_time_under_the_cap_does_not_count() -> None:
    flow = RefillEstimator()
    flow.measure(refusal(0.0, 0.0))
    stretch = flow.measure(refusal(20.0, 50.0, capped_s=10.0))
    assert stretch is not None
    assert stretch.rates[0] == pytest.approx(5.0)
