"""Windows whose headers state what remains and when there is room: identified even if the remaining-quota gate delayed sends before."""

from __future__ import annotations

import random

import pytest

from benchmarks.rate_control_model.measure import run_once
from benchmarks.rate_control_model.scenario import Scenario
from benchmarks.rate_control_model.scenarios import SCENARIOS
from runners.limits.adaptive.concurrency.answer_statistics import AnswerStatistics
from runners.limits.adaptive.concurrency.in_flight import InFlightRequest, InFlightRequests
from runners.limits.adaptive.episode import EpisodeContext, begin
from runners.limits.adaptive.ledger import REQUESTS, SendLedger
from runners.limits.adaptive.rate.episode_evidence import EpisodeEvidence, first_rates
from runners.limits.adaptive.state import AdaptiveLimits
from runners.limits.adaptive.throttling.throttle_gate import AdaptiveThrottleGate, WindowForecast, is_no_bucket

COST = (1.0, 100.0, 500.0, 0.0)


def burst(sends: int, seconds: float, refused_at: float) -> tuple[SendLedger, InFlightRequest]:
    """So many accepted within so many seconds, then nothing (the remaining-quota gate), then one refusal."""
    ledger, in_flight_requests = SendLedger(), InFlightRequests()
    for index in range(sends):
        ledger.add(COST, index * seconds / sends)
    flight = in_flight_requests.send(COST, ledger.add(COST, refused_at), refused_at)
    ledger.correct(flight.entry, (-1.0, -100.0, -500.0, 0.0))
    return ledger, flight


@pytest.mark.parametrize("server", ["W1", "W1f", "W6", "W2"])
@pytest.mark.parametrize("n", [500, 2000])
def test_a_told_window_is_used_up(server: str, n: int) -> None:
    def build(index: int, scenario: Scenario, draw: random.Random) -> AdaptiveLimits:
        return AdaptiveLimits(most=None)

    measured = run_once(server, SCENARIOS[server], build, n, 0)
    assert measured.efficiency >= 0.95
    assert measured.refused <= 0.02


def test_a_wait_that_ends_when_the_ledger_has_room_names_the_window() -> None:
    ledger, flight = burst(50, 3.0, 5.75)
    episode = begin(flight, EpisodeContext(ledger, 0, 0.0, 5.8, 5.8))
    gate = AdaptiveThrottleGate()
    gate.shut(episode, 4.261, WindowForecast(ledger, 0, 0.0, False), 5.8)
    assert episode.level == 1
    assert episode.counts[1][REQUESTS] == 50


def test_a_wait_that_fits_no_known_window_gives_its_mean_rate() -> None:
    ledger, flight = burst(50, 3.0, 5.75)
    episode = begin(flight, EpisodeContext(ledger, 0, 0.0, 5.8, 5.8))
    AdaptiveThrottleGate().shut(episode, 9.25, WindowForecast(ledger, 0, 0.0, False), 5.8)
    assert episode.level == 0
    rates = first_rates(episode, EpisodeEvidence(ledger, AnswerStatistics(), True, 15.0, 15.0))
    assert rates[REQUESTS] == pytest.approx(50 / 15, rel=0.02)


def test_what_the_quota_gate_held_back_does_not_lower_the_first_rate() -> None:
    ledger, flight = burst(50, 3.0, 5.75)
    episode = begin(flight, EpisodeContext(ledger, 0, 0.0, 5.8, 5.8))
    rates = first_rates(episode, EpisodeEvidence(ledger, AnswerStatistics(), True, 6.0, 6.0))
    assert rates[REQUESTS] >= 0.4 * 50 / 5.8


def test_a_short_wait_after_a_burst_may_be_a_bucket() -> None:
    ledger, flight = burst(50, 3.0, 5.75)
    episode = begin(flight, EpisodeContext(ledger, 0, 0.0, 5.8, 5.8))
    assert is_no_bucket(episode, 4.261)
    assert not is_no_bucket(episode, 0.2)


def test_one_time_after_every_refusal_is_the_length_of_the_window() -> None:
    ledger, gate = SendLedger(), AdaptiveThrottleGate()
    for start in (0.0, 30.0):
        in_flight_requests = InFlightRequests()
        for index in range(60):
            ledger.add(COST, start + index / 20)
        flight = in_flight_requests.send(COST, ledger.add(COST, start + 5), start + 5)
        ledger.correct(flight.entry, (-1.0, -100.0, -500.0, 0.0))
        episode = begin(flight, EpisodeContext(ledger, 0, 0.0, start + 5.1, start + 5.1))
        gate.shut(episode, 17.1, WindowForecast(ledger, 0, 0.0, False), start + 5.1)
        gate.reopen()
    assert (episode.level, episode.has_new_window) == (1, True)
    assert ledger.windows_s == [1.0, 17.1, 60.0]
    assert ledger.counts(1, 36.0)[REQUESTS] == 60 == episode.counts[1][REQUESTS]
    assert ledger.counts(1, 60.0)[REQUESTS] == 0
