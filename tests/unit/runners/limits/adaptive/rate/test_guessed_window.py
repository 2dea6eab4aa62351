"""A window whose length was guessed, in virtual time: it is corrected by what is refused and accepted, and none is missed by much."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from providers.messages import Usage
from providers.simulator.limits.quota import SlidingWindow
from runners.limits.adaptive.state import AdaptiveLimits
from runners.limits.permit import Cost, Go, Settled, WaitUntil

COST = Cost(100, 100)
ANSWER = Settled("succeeded", 0.0, Usage(100, 50))
REFUSAL = Settled("throttled", 0.0)


def run(meter: SlidingWindow | Trickle, until: float) -> tuple[AdaptiveLimits, int, int]:
    """Send as soon as the limits allow it; answers arrive at once. Return the limits and the numbers of answers and refusals."""
    state, now, answers, refusals = AdaptiveLimits(most=None), 0.0, 0, 0
    state._loop.floor.checks_at = math.inf  # the trials of the answer floor have tests of their own
    while now < until:
        decision = state.acquire(COST, now)
        if not isinstance(decision, Go):
            assert isinstance(decision, WaitUntil)
            now = decision.at
        elif meter.ready_at(1, now) <= now:
            meter.count(1, now)
            answers += 1
            state.settle(decision.ticket, ANSWER, now)
        else:
            refusals += 1
            state.settle(decision.ticket, REFUSAL, now)
    return state, answers, refusals


class Trickle:
    """A bucket that holds `size` requests and refills `rate` per second."""

    def __init__(self, size: float, rate: float) -> None:
        self._size, self._rate, self._level, self._at = size, rate, size, 0.0

    def ready_at(self, amount: int, now: float) -> float:
        level = min(self._size, self._level + self._rate * (now - self._at))
        return now if level >= amount else now + (amount - level) / self._rate

    def count(self, amount: int, now: float) -> None:
        self._level = min(self._size, self._level + self._rate * (now - self._at)) - amount
        self._at = now


@pytest.mark.parametrize(("limit", "window_s"), [(1, 4.0), (3, 4.0), (3, 10.6), (6, 8.3), (15, 26.0), (35, 14.7)])
def test_a_silent_window_of_few_requests_is_used(limit: int, window_s: float) -> None:
    windows = 40
    _, answers, refusals = run(SlidingWindow(limit, window_s), windows * window_s)
    assert answers >= 0.85 * limit * windows
    assert refusals <= 3 + windows


def test_a_large_bucket_that_trickles_is_no_window() -> None:
    state, answers, refusals = run(Trickle(24.0, 0.7), 600.0)
    window_s = state.snapshot(600.0)["limits"]
    assert isinstance(window_s, Mapping)
    assert window_s["window_s"] is None
    assert answers >= 0.95 * 0.7 * 600
    assert refusals <= 0.1 * answers
