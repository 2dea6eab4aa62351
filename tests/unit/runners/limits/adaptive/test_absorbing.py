"""Limiters that share a quota become one: what each had accepted counts together, and the limit is read off the sum."""

from __future__ import annotations

import pytest

from providers.messages import RateLimitHint, Usage
from runners.limits.adaptive.ledger import CEILING, REQUESTS, TOKENS, SendLedger
from runners.limits.adaptive.state import AdaptiveLimits
from runners.limits.permit import Cost, Go, Settled, WaitUntil

COST = Cost(80, 20)
SEND = (1.0, 100.0, 120.0, 0.0)


def filled(sends: int, every_s: float = 1.0) -> SendLedger:
    ledger = SendLedger()
    for index in range(sends):
        ledger.add(SEND, 0.5 + index * every_s)
    return ledger


def test_two_ledgers_count_what_both_accepted() -> None:
    mine, other = filled(30), filled(20, 1.5)
    mine.absorb(other, 30.0)
    assert mine.counts(2, 30.0)[:3] == [50.0, 5_000.0, 6_000.0]
    assert mine.counts(1, 30.0)[REQUESTS] == 10 + 7
    assert mine.between(0.0, 10.0)[REQUESTS] == 10 + 7
    mine.add(SEND, 31.0)
    assert mine.total[REQUESTS] == 51


def test_what_was_absorbed_leaves_the_window_in_its_time() -> None:
    mine, other = filled(10), filled(20)
    mine.absorb(other, 20.0)
    assert mine.counts(2, 65.0)[REQUESTS] == 5 + 15
    assert mine.counts(2, 200.0)[:3] == [0.0, 0.0, 0.0]
    assert mine.frees_at(2, REQUESTS, 1.0, 200.0) is None


def test_a_correction_after_the_merger_still_counts() -> None:
    mine, other = SendLedger(), filled(5)
    entry = mine.add(SEND, 4.0)
    mine.absorb(other, 5.0)
    mine.correct(entry, (-1.0, -100.0, -120.0, 0.0))
    assert mine.counts(2, 5.0)[:3] == [5.0, 500.0, 600.0]
    assert mine.counts(0, 500.0)[:3] == [0.0, 0.0, 0.0]


def after_a_refusal(accepted: int, hint: RateLimitHint) -> AdaptiveLimits:
    """Answered one by one, then refused at 40 s."""
    limits = AdaptiveLimits(most=50)
    for index in range(accepted):
        now = 40.0 * index / accepted
        while not isinstance(decision := limits.acquire(COST, now), Go):
            assert isinstance(decision, WaitUntil)
            now = decision.at
        limits.settle(decision.ticket, Settled("succeeded", 0.2, Usage(80, 20)), now + 0.2)
    last = limits.acquire(COST, 41.0)
    assert isinstance(last, Go)
    limits.settle(last.ticket, Settled("throttled", 0.1, hint=hint), 41.1)
    return limits


def reopened(limits: AdaptiveLimits) -> AdaptiveLimits:
    """One trial goes out when the wait is over, and silence accepts it."""
    trial = limits.acquire(COST, 70.0)
    assert isinstance(trial, Go)
    limits.acquire(COST, 75.0)
    return limits


TOLD = RateLimitHint(retry_after_s=20.0)
IN_WORDS = RateLimitHint(20.0, stated_limit=5_000.0, stated_window_s=60.0, stated_kind="tokens")


def test_the_limit_of_several_is_the_sum_that_they_met_together() -> None:
    limits = after_a_refusal(30, TOLD)
    limits.absorb(after_a_refusal(20, TOLD), 41.2)
    assert limits.opens_at(41.2) == pytest.approx(61.1)
    described = reopened(limits).snapshot(75.0)["limits"]
    assert isinstance(described, dict)
    assert described["requests"] == 50.0
    assert described["window_s"] == 60.0


def test_experience_is_what_was_accepted() -> None:
    assert after_a_refusal(30, TOLD).experience == 30
    assert after_a_refusal(30, TOLD).accepted(10.0, 41.0)[TOKENS] == pytest.approx(2_200, abs=200)


def test_a_stated_limit_that_was_reached_names_the_unit() -> None:
    described = reopened(after_a_refusal(50, IN_WORDS)).snapshot(75.0)["limits"]
    assert isinstance(described, dict)
    assert (described["window_s"], described["tokens"]) == (60.0, 5_000.0)
    assert described["tokens when answered"] is None
    assert described["requests"] == 200.0


def test_a_stated_limit_that_was_not_reached_is_asked_for() -> None:
    limits = reopened(after_a_refusal(20, IN_WORDS))
    assert limits.export()["limits"] is not None
    described = limits.snapshot(75.0)["limits"]
    assert isinstance(described, dict)
    assert described[("requests", "tokens", "prompt + max_tokens")[CEILING]] == 5_000.0


def test_a_stated_window_that_nothing_confirms_is_not_taken() -> None:
    """Stated by the minute, refused after ten of sixty with a wait of a second or two: it is counted over less."""
    hint = RateLimitHint(2.0, stated_limit=60.0, stated_window_s=60.0, stated_kind="requests")
    described = reopened(after_a_refusal(10, hint)).snapshot(75.0)["limits"]
    assert isinstance(described, dict)
    assert described["window_s"] != 60.0


def test_what_a_silent_one_had_sent_led_to_the_refusal_too() -> None:
    """The one that stands for both was not refused itself: its part is in the sum all the same."""
    silent = after_a_refusal(30, TOLD)
    silent._gate.episode, silent._gate.opens_at = None, 0.0
    silent.absorb(after_a_refusal(20, TOLD), 41.2)
    described = reopened(silent).snapshot(75.0)["limits"]
    assert isinstance(described, dict)
    assert described["requests"] == 50.0


def test_a_tilt_asks_for_a_share_of_what_is_known_and_ends() -> None:
    limits = reopened(after_a_refusal(30, TOLD))
    known = limits._rates.factor(76.0)
    limits.tilt(0.5, 90.0, 76.0)
    assert limits._rates.factor(76.0) == pytest.approx(0.5 * known)
    assert limits._rates.factor(90.0) == pytest.approx(1.0, rel=0.05)
