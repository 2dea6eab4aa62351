import pytest

from providers.messages import RateLimitHint
from runners.limits.adaptive.concurrency.in_flight import InFlightRequest
from runners.limits.adaptive.ledger import LedgerEntry
from runners.limits.adaptive.remaining_quota import BLIND_ANSWERS, RemainingQuotaGate

ONE = (1.0, 100.0, 600.0, 0.0)


def send(brake: RemainingQuotaGate, at: float) -> InFlightRequest:
    flight = InFlightRequest(0, ONE, LedgerEntry(ONE, at), 0, at)
    brake.send(flight)
    return flight


def left(requests: float | None, tokens: float | None = None) -> RateLimitHint:
    return RateLimitHint(None, None, None, requests, tokens)


def test_without_headers_there_is_no_brake() -> None:
    assert RemainingQuotaGate().opens_at(ONE, 1.0, 5.0) == 5.0


def test_what_was_spent_since_the_look_is_taken_off() -> None:
    brake = RemainingQuotaGate()
    first = send(brake, 0.0)
    send(brake, 0.1)
    brake.learn(first, left(1.0))
    assert brake.opens_at(ONE, 4.0, 0.2) > 0.2
    brake.refuse(InFlightRequest(1, ONE, LedgerEntry(ONE, 0.1), 0, 0.1))
    assert brake.opens_at(ONE, 4.0, 0.2) == 0.2


def test_the_refill_is_learnt_from_two_looks() -> None:
    brake = RemainingQuotaGate()
    brake.learn(send(brake, 0.0), left(9.0))
    brake.learn(send(brake, 2.0), left(12.0))  # 3 more although 1 was spent: 4 in 2 seconds
    brake.learn(send(brake, 3.0), left(0.0))
    assert brake.opens_at(ONE, 1.0, 3.0) == pytest.approx(3.0 + 1 / 2.0)


def test_a_brake_delays_and_never_blocks() -> None:
    brake = RemainingQuotaGate()
    brake.learn(send(brake, 0.0), left(0.0))
    opens_at = brake.opens_at(ONE, 1.0, 0.5)
    assert 0.5 < opens_at <= 2.0
    assert brake.opens_at(ONE, 1.0, 2.0) == 2.0


@pytest.mark.parametrize("constant", [-1.0, None])
def test_negative_or_missing_values_say_nothing(constant: float | None) -> None:
    brake = RemainingQuotaGate()
    brake.learn(send(brake, 0.0), left(constant))
    assert brake.opens_at(ONE, 1.0, 0.1) == 0.1


def test_a_header_that_is_always_zero_is_found_out() -> None:
    brake = RemainingQuotaGate()
    for step in range(BLIND_ANSWERS):
        brake.learn(send(brake, 0.1 * step), left(0.0))
    assert brake.opens_at(ONE, 1.0, 2.0) == 2.0
    assert brake.opens_at(ONE, 1.0, 1.55) == 1.55
