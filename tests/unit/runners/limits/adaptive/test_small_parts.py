import pytest

from runners.limits.adaptive.blocked_time import BlockedTime
from runners.limits.adaptive.concurrency.circuit_breaker import CircuitBreaker
from runners.limits.adaptive.concurrency.rounds import Round, RoundMeasurement
from runners.limits.adaptive.rate.pacer import Pacer


def test_a_late_send_does_not_lose_its_place_in_the_schedule() -> None:
    pacer = Pacer()
    pacer.restart(0.0)
    pacer.sent(0.2, 0.3)
    assert pacer.next_at == pytest.approx(0.2)


def test_slack_is_two_gaps_at_most() -> None:
    pacer = Pacer()
    pacer.sent(0.2, 10.0)
    assert pacer.next_at == pytest.approx(10.0 - 0.4 + 0.2)


def test_time_counts_to_what_blocked_and_to_idle_after_a_go() -> None:
    time = BlockedTime()
    time.turn("pacer", 5.0)
    time.turn("idle", 6.0)
    time.turn("cap", 8.0)
    assert time.under(8.5) == {"gate": 0.0, "cap": 0.5, "pacer": 1.0, "ledger": 0.0, "quota": 0.0, "idle": 2.0}
    assert time.cap_s(9.0) == 1.0


def test_the_breaker_trips_at_the_fifth_failure_in_a_row_and_waits_longer_each_time() -> None:
    breaker = CircuitBreaker()
    assert [breaker.failed(0.0) for _ in range(5)] == [False, False, False, False, True]
    assert breaker.opens_at == 1.0
    assert breaker.failed(1.0)
    assert breaker.opens_at == 3.0


def test_a_burst_of_failures_that_were_in_flight_counts_once() -> None:
    breaker = CircuitBreaker()
    assert sum(breaker.failed(0.0) for _ in range(50)) == 1
    assert breaker.opens_at == 1.0


def test_an_answer_closes_the_breaker() -> None:
    breaker = CircuitBreaker()
    for _ in range(5):
        breaker.failed(0.0)
    breaker.succeeded()
    assert not breaker.is_tripped


def test_elasticity_is_one_when_latency_stays_and_zero_when_it_doubles_with_the_cap() -> None:
    assert RoundMeasurement(16.0, 0.02).elasticity(32.0, 0.02) == pytest.approx(1.0)
    assert RoundMeasurement(16.0, 0.02).elasticity(32.0, 0.04) == pytest.approx(0.0)


def test_a_round_measures_latency_per_token() -> None:
    measured = Round()
    measured.add(2.0, 80)
    measured.add(4.0, 180)
    assert measured.rho == pytest.approx(6.0 / 300)
