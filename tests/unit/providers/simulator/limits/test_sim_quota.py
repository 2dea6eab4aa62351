from __future__ import annotations

import math
from typing import Any

import pytest

from providers.simulator.limits.quota import Admitted, FixedWindow, Quota, QuotaRefusal, SlidingWindow, TokenBucket
from providers.simulator.settings.provider import EndpointSettings


def quota(**settings: Any) -> Quota:
    return Quota(EndpointSettings(**settings))


def refusal(outcome: Admitted | QuotaRefusal) -> QuotaRefusal:
    assert isinstance(outcome, QuotaRefusal)
    return outcome


def test_a_sliding_window_forgets_each_request_exactly_one_window_later() -> None:
    meter = SlidingWindow(2, 10)
    meter.count(1, 0.0)
    meter.count(1, 4.0)
    assert meter.ready_at(1, 5.0) == 10.0
    assert meter.ready_at(2, 5.0) == 14.0
    assert meter.ready_at(1, 10.0) == 10.0
    assert meter.remaining(10.0) == 1


def test_a_sliding_window_waits_for_as_many_old_amounts_as_it_takes() -> None:
    meter = SlidingWindow(100, 60)
    for at, amount in [(0, 30), (1, 30), (2, 30)]:
        meter.count(amount, at)
    assert meter.ready_at(10, 3) == 3
    assert meter.ready_at(40, 3) == 60
    assert meter.ready_at(41, 3) == 61
    assert meter.full_at(3) == 62


def test_a_fixed_window_opens_with_the_first_request_and_again_at_every_multiple() -> None:
    meter = FixedWindow(3, 60)
    assert meter.ready_at(1, 7.0) == 7.0
    meter.count(3, 7.0)
    assert meter.ready_at(1, 66.0) == 67.0
    assert meter.ready_at(1, 67.0) == 67.0
    meter.count(3, 200.0)  # in the window from 187 to 247, whatever was skipped
    assert meter.ready_at(1, 200.0) == 247.0


def test_a_bucket_lends_its_burst_and_then_refills_at_its_rate() -> None:
    meter = TokenBucket(rate=2.0, capacity=10.0)
    meter.count(10, 0.0)
    assert meter.remaining(0.0) == 0
    assert meter.ready_at(1, 0.0) == 0.5
    assert meter.ready_at(10, 0.0) == 5.0
    assert meter.remaining(2.0) == 4.0
    assert meter.full_at(2.0) == 5.0


@pytest.mark.parametrize("meter", [SlidingWindow(5, 10), FixedWindow(5, 10), TokenBucket(1.0, 5.0)])
def test_what_is_larger_than_the_limit_never_fits(meter: SlidingWindow | FixedWindow | TokenBucket) -> None:
    assert meter.ready_at(6, 0.0) == math.inf


def test_the_limit_of_a_window_is_its_share_of_a_minute() -> None:
    limited = quota(rpm=600, window_s=10)
    outcomes = [limited.admit(1, 0.0) for _ in range(101)]
    assert sum(isinstance(outcome, Admitted) for outcome in outcomes) == 100
    assert refusal(outcomes[-1]) == QuotaRefusal("requests", 10.0, 10.0)


def test_a_refused_request_is_not_counted() -> None:
    limited = quota(rpm=1, window_s=60)
    limited.admit(1, 0.0)
    for at in range(1, 60):
        assert refusal(limited.admit(1, float(at))).ready_at == 60.0
    assert isinstance(limited.admit(1, 60.0), Admitted)


def test_the_unit_that_binds_longer_is_named() -> None:
    limited = quota(rpm=2, tpm=100, window_s=60)
    limited.admit(90, 0.0)
    limited.admit(5, 1.0)
    assert refusal(limited.admit(50, 2.0)).unit == "requests"  # both would wait until 60
    assert refusal(limited.admit(96, 2.0)) == QuotaRefusal("tokens", 61.0, 59.0)


def test_estimated_tokens_are_charged_on_arrival_and_not_again() -> None:
    limited = quota(tpm=100)
    limited.admit(80, 0.0)
    limited.finish(500, 1.0)
    assert refusal(limited.admit(21, 2.0)).ready_at == 60.0
    assert isinstance(limited.admit(20, 2.0), Admitted)


def test_actual_tokens_are_charged_when_the_answer_is_done_and_may_overrun() -> None:
    limited = quota(tpm=100, tokens="actual")
    assert all(isinstance(limited.admit(10_000, 0.0), Admitted) for _ in range(3))
    limited.finish(70, 5.0)
    limited.finish(70, 6.0)
    assert refusal(limited.admit(1, 7.0)) == QuotaRefusal("tokens", 65.0, 58.0)
    limited.finish(0, 8.0)
    assert isinstance(limited.admit(1, 65.0), Admitted)


def test_concurrency_counts_those_inside_and_names_no_time() -> None:
    limited = quota(concurrency=2)
    limited.admit(1, 0.0)
    limited.admit(1, 0.0)
    assert limited.admit(1, 0.0) == QuotaRefusal("concurrency", None, None)
    limited.finish(1, 3.0)
    assert isinstance(limited.admit(1, 3.0), Admitted)


@pytest.mark.parametrize(("told", "seconds"), [("exact", 45.0), ("window", 60.0), ("none", None)])
def test_the_server_says_the_truth_the_window_or_nothing(told: str, seconds: float | None) -> None:
    limited = quota(rpm=1, retry_after=told)
    limited.admit(1, 0.0)
    assert refusal(limited.admit(1, 15.0)) == QuotaRefusal("requests", 60.0, seconds)


def test_a_request_that_will_never_fit_is_not_told_to_come_back() -> None:
    assert quota(tpm=100).admit(101, 0.0) == QuotaRefusal("tokens", math.inf, None)


def test_levels_are_per_minute_and_what_is_left_is_of_the_window() -> None:
    limited = quota(rpm=600, tpm=6000, window_s=10)
    limited.admit(250, 0.0)
    requests, tokens = limited.levels(4.0)
    assert requests is not None
    assert tokens is not None
    assert (requests.limit, requests.remaining, requests.reset_s) == (600, 99, 6.0)
    assert (tokens.limit, tokens.remaining, tokens.reset_s) == (6000, 750, 6.0)
    assert quota().levels(0.0) == (None, None)


def test_a_bucket_holds_its_burst_and_never_less_than_one_request() -> None:
    generous = quota(rpm=60, quota="bucket", burst_s=10)
    assert sum(isinstance(generous.admit(1, 0.0), Admitted) for _ in range(20)) == 10
    tight = quota(rpm=6, quota="bucket", burst_s=1)
    assert isinstance(tight.admit(1, 0.0), Admitted)
    assert refusal(tight.admit(1, 0.0)).ready_at == 10.0


def test_a_days_requests_bind_when_they_are_used_up_and_come_back_one_by_one() -> None:
    limited = quota(rpd=2)
    assert [isinstance(limited.admit(1, 0.0), Admitted) for _ in range(2)] == [True, True]
    assert refusal(limited.admit(1, 0.0)) == QuotaRefusal("requests", 43_200.0, 43_200.0)
    assert isinstance(limited.admit(1, 43_200.0), Admitted)
    assert quota().day_level(0.0) is None
