"""Additive rise, multiplicative fall."""

from __future__ import annotations

from providers.messages import RateLimitHint
from runners.limits.adaptive.safe import FIRST_CAP, SafeState
from runners.limits.permit import Go, Settled, WaitForEvent, WaitUntil
from tests.unit.runners.doubles import COST

DONE = Settled("succeeded", 1.0)
REFUSED = Settled("throttled", 0.1, hint=RateLimitHint(retry_after_s=5.0))


def fill(state: SafeState, now: float) -> int:
    """Acquire until it says wait; returns how many went."""
    sent = 0
    while isinstance(state.acquire(COST, now), Go):
        sent += 1
    return sent


def clean_round(state: SafeState, now: float) -> None:
    """As many successes as fit at once, each followed at once by who waits; then everything ends."""
    sent = in_flight = fill(state, now)
    for _ in range(sent):
        state.settle(0, DONE, now)
        in_flight += fill(state, now) - 1
    for _ in range(in_flight):
        state.settle(0, Settled("cancelled", 0.0), now)


def cap(state: SafeState) -> object:
    return state.snapshot(0.0)["cap"]


def test_it_starts_low_and_never_above_the_worker_count() -> None:
    assert fill(SafeState(most=None), 0.0) == FIRST_CAP
    assert fill(SafeState(most=3), 0.0) == 3


def test_a_full_state_waits_for_an_event_and_a_shut_one_for_its_time() -> None:
    state = SafeState(most=1)
    assert isinstance(state.acquire(COST, 0.0), Go)
    assert isinstance(state.acquire(COST, 0.0), WaitForEvent)
    state.settle(0, REFUSED, 10.0)
    assert state.acquire(COST, 10.0) == WaitUntil(15.0)
    assert isinstance(state.acquire(COST, 15.0), Go)


def test_the_cap_rises_while_it_is_used_and_stays_while_it_is_not() -> None:
    state = SafeState(most=100)
    for _ in range(50):
        state.acquire(COST, 0.0)
        state.settle(0, DONE, 0.0)
    assert cap(state) == 8
    clean_round(state, 0.0)
    assert cap(state) == 16


def test_a_burst_of_refusals_lowers_the_cap_once() -> None:
    state = SafeState(most=100)
    for _ in range(fill(state, 0.0)):
        state.settle(0, REFUSED, 1.0)
    assert cap(state) == 5


def test_it_never_falls_below_one_and_recovers_to_the_worker_count() -> None:
    state, now = SafeState(most=6), 0.0
    for _ in range(20):
        state.acquire(COST, now)
        state.settle(0, REFUSED, now)
        now += 5.0
    assert cap(state) == 1
    for _ in range(200):
        clean_round(state, now)
    assert cap(state) == 6
    assert state.export() == {"concurrency": 6}
