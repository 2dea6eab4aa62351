import pytest

from runners.limits.adaptive.concurrency.in_flight import InFlightRequests, RecentMaximum
from runners.limits.adaptive.ledger import SendLedger
from runners.limits.refusal_delay import RefusalDelay

ONE = (1.0, 100.0, 600.0, 0.0)


def launch(in_flight_requests: InFlightRequests, ledger: SendLedger, at: float) -> int:
    return in_flight_requests.send(ONE, ledger.add(ONE, at), at).number


def test_a_refused_request_was_not_beside_those_sent_after_it() -> None:
    in_flight_requests, ledger = InFlightRequests(), SendLedger()
    numbers = [launch(in_flight_requests, ledger, 0.1 * step) for step in range(3)]
    refused = in_flight_requests.end(numbers[0])
    in_flight_requests.refuse(refused)
    assert [in_flight_requests.end(number).beside for number in numbers[1:]] == [0, 1]


def test_silence_longer_than_a_refusal_takes_is_an_accept() -> None:
    in_flight_requests, ledger = InFlightRequests(), SendLedger()
    launch(in_flight_requests, ledger, 0.0)
    launch(in_flight_requests, ledger, 0.0)
    assert in_flight_requests.accepted_beside.highest(0.0) == -1
    in_flight_requests.confirm(in_flight_requests.delay.patience_s + 0.01)
    assert in_flight_requests.accepted_beside.highest(2.0) == 1


def test_a_ticket_is_settled_once() -> None:
    in_flight_requests, ledger = InFlightRequests(), SendLedger()
    number = launch(in_flight_requests, ledger, 0.0)
    in_flight_requests.end(number)
    with pytest.raises(KeyError):
        in_flight_requests.end(number)


def test_the_first_refusal_sets_the_delay_and_steady_ones_narrow_the_patience() -> None:
    delay = RefusalDelay()
    delay.learn(0.4)
    assert delay.mean_s == 0.4
    assert delay.patience_s == pytest.approx(0.4 + 4 * 0.2 + 0.02)
    for _ in range(50):
        delay.learn(0.4)
    assert delay.patience_s == pytest.approx(1.5 * 0.4 + 0.02)


def test_the_peak_is_of_the_last_minute() -> None:
    peak = RecentMaximum()
    for at, value in ((0.0, 9), (30.0, 4), (40.0, 6)):
        peak.add(value, at)
    assert [peak.highest(at) for at in (50.0, 61.0, 101.0)] == [9, 6, -1]
