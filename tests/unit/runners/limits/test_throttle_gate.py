"""The gate after a refusal: the server's own time first, else a guess that doubles."""

from __future__ import annotations

import pytest

from providers.messages import RateLimitHint
from runners.limits.permit import Settled
from runners.limits.throttle_gate import FIRST_WAIT_S, LONGEST_GUESS_S, ThrottleGate

SUCCEEDED = Settled("succeeded", 0.1)


def refused(retry_after_s: float | None = None) -> Settled:
    return Settled("throttled", 0.1, hint=RateLimitHint(retry_after_s=retry_after_s))


def test_the_gate_is_open_before_the_first_refusal() -> None:
    assert ThrottleGate().opens_at <= 0


@pytest.mark.parametrize("wait_s", [0.001, 0.25, 59.999, 3600.0])
def test_the_servers_own_time_is_kept_to_the_millisecond(wait_s: float) -> None:
    gate = ThrottleGate()
    gate.settle(refused(wait_s), 100.0)
    assert gate.opens_at == 100.0 + wait_s


def test_a_longer_word_extends_the_wait_and_a_shorter_one_does_not_cut_it() -> None:
    gate = ThrottleGate()
    gate.settle(refused(10), 0.0)
    gate.settle(refused(1), 1.0)
    assert gate.opens_at == 10
    gate.settle(refused(30), 2.0)
    assert gate.opens_at == 32


def test_without_a_word_the_guess_doubles_up_to_a_window() -> None:
    gate, now, waits = ThrottleGate(), 1.0, []
    for _ in range(10):
        gate.settle(Settled("throttled", 0.1), now)
        waits.append(gate.opens_at - now)
        now = gate.opens_at
    assert waits == [min(FIRST_WAIT_S * 2**number, LONGEST_GUESS_S) for number in range(10)]


def test_the_refusals_of_one_burst_count_once() -> None:
    gate = ThrottleGate()
    for _ in range(50):
        gate.settle(refused(), 1.0)
    assert gate.opens_at == 1.0 + FIRST_WAIT_S


def test_a_success_starts_the_guess_anew() -> None:
    gate = ThrottleGate()
    gate.settle(refused(), 1.0)
    gate.settle(refused(), 2.0)
    gate.settle(SUCCEEDED, 5.0)
    gate.settle(refused(), 6.0)
    assert gate.opens_at == 6.0 + FIRST_WAIT_S


def test_a_wait_of_no_time_at_all_is_no_word() -> None:
    gate = ThrottleGate()
    gate.settle(refused(0.0), 1.0)
    assert gate.opens_at == 1.0 + FIRST_WAIT_S


@pytest.mark.parametrize("how", ["failed", "cancelled", "succeeded"])
def test_nothing_but_a_refusal_shuts_it(how: str) -> None:
    gate = ThrottleGate()
    gate.settle(Settled(how, 0.1, hint=RateLimitHint(retry_after_s=30)), 1.0)  # type: ignore[arg-type]
    assert gate.opens_at <= 1.0
