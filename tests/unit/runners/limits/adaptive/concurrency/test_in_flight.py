import pytest

from runners.limits.adaptive.concurrency.in_flight import Flights, Peak, RefusalDelay
from runners.limits.adaptive.rate.ledger import Ledger

ONE = (1.0, 100.0, 600.0, 0.0)


def launch(flights: Flights, ledger: Ledger, at: float) -> int:
    return flights.send(ONE, ledger.add(ONE, at), at).number


def test_a_refused_request_was_not_beside_those_sent_after_it() -> None:
    flights, ledger = Flights(), Ledger()
    numbers = [launch(flights, ledger, 0.1 * step) for step in range(3)]
    refused = flights.end(numbers[0])
    flights.refuse(refused)
    assert [flights.end(number).beside for number in numbers[1:]] == [0, 1]


def test_silence_longer_than_a_refusal_takes_is_an_accept() -> None:
    flights, ledger = Flights(), Ledger()
    launch(flights, ledger, 0.0)
    launch(flights, ledger, 0.0)
    assert flights.accepted_beside.highest(0.0) == -1
    flights.confirm(flights.delay.patience_s + 0.01)
    assert flights.accepted_beside.highest(2.0) == 1


def test_a_ticket_is_settled_once() -> None:
    flights, ledger = Flights(), Ledger()
    number = launch(flights, ledger, 0.0)
    flights.end(number)
    with pytest.raises(KeyError):
        flights.end(number)


def test_the_first_refusal_sets_the_delay_and_steady_ones_narrow_the_patience() -> None:
    delay = RefusalDelay()
    delay.learn(0.4)
    assert delay.mean_s == 0.4
    assert delay.patience_s == pytest.approx(0.4 + 4 * 0.2 + 0.02)
    for _ in range(50):
        delay.learn(0.4)
    assert delay.patience_s == pytest.approx(1.5 * 0.4 + 0.02)


def test_the_peak_is_of_the_last_minute() -> None:
    peak = Peak()
    for at, value in ((0.0, 9), (30.0, 4), (40.0, 6)):
        peak.add(value, at)
    assert [peak.highest(at) for at in (50.0, 61.0, 101.0)] == [9, 6, -1]
