"""What a refusal means: the rest of a burst, a refused trial, a concurrency limit, or the beginning of an episode under a rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from providers.messages import JSON, RateLimitHint

from ...stated import UNSTATED, StatedQuota, stated_quota
from ..concurrency.answer_statistics import AnswerStatistics
from ..concurrency.concurrency_cap import ConcurrencyCap
from ..concurrency.in_flight import InFlightRequest, InFlightRequests
from ..episode import Episode, EpisodeContext, begin
from ..ledger import Amounts, SendLedger
from ..rate.rate_learner import RateLearner
from ..rate.rate_model import FLOW, RateModel
from ..remaining_quota import RemainingQuotaGate
from .throttle_gate import AdaptiveThrottleGate, WindowRoom

CHECKS_AFTER_CUT = 1
"""Sends that go alone after a concurrency limit was read off a refusal: were it a rate, they would be refused."""


@dataclass(frozen=True, slots=True)
class RefusalTimes:
    """The times that a refusal is judged by, in seconds."""

    latency_s: float
    running_s: float
    capped_s: float
    now: float


@dataclass(slots=True)
class RefusalClassifier:
    ledger: SendLedger
    in_flight_requests: InFlightRequests
    answers: AnswerStatistics
    gate: AdaptiveThrottleGate
    cap: ConcurrencyCap
    rates: RateModel
    learner: RateLearner
    brake: RemainingQuotaGate
    decide: Callable[[str, Mapping[str, JSON]], None]
    suspect: Episode | None = None
    """The refusal behind the last concurrency cut: if the next ones say that it was a rate, it is where the episode began."""

    stated: StatedQuota = UNSTATED
    """By the last refusal."""

    def refuse(self, flight: InFlightRequest, delay_s: float, hint: RateLimitHint | None, clock: RefusalTimes) -> None:
        retry_after_s, self.stated = hint.retry_after_s if hint else None, stated_quota(hint)
        self.in_flight_requests.delay.learn(delay_s)
        self._take_back(flight)
        episode = self.gate.episode
        if episode is not None and flight.sent_at < episode.known_at:
            self.gate.extend(retry_after_s, clock.now)
        elif flight.sent_at < self.cap.cut_at:
            self.cap.lower(flight.beside)
        elif episode is not None:
            self._refuse_trial(episode, retry_after_s, clock.now)
        elif retry_after_s is None and self._is_concurrency(flight, clock.now):
            self._cut(flight, clock)
        else:
            self._open_episode(flight, retry_after_s, clock)

    def correct(self, flight: InFlightRequest, by: Amounts) -> None:
        """A send turned out to count for another amount."""
        self.ledger.correct(flight.entry, by)
        for episode in (self.gate.episode, self.suspect):
            if episode is not None:
                episode.correct(flight, by)

    def _take_back(self, flight: InFlightRequest) -> None:
        """A refused request counts nowhere."""
        requests, tokens, ceiling, _ = flight.amounts
        self.correct(flight, (-requests, -tokens, -ceiling, 0.0))
        self.in_flight_requests.refuse(flight)
        self.brake.refuse(flight)

    def _is_concurrency(self, flight: InFlightRequest, now: float) -> bool:
        accepted_beside = self.in_flight_requests.accepted_beside.highest(now)
        if self.cap.refused_alike(flight.beside, accepted_beside):
            self.learner.forget()
            return True
        return self.rates.level == FLOW and self.cap.looks_like_concurrency(flight.beside, accepted_beside)

    def _cut(self, flight: InFlightRequest, clock: RefusalTimes) -> None:
        if self.cap.mode != "conc":
            self.suspect = self._begin(flight, clock)
            self.gate.check(CHECKS_AFTER_CUT, clock.now + self.in_flight_requests.delay.patience_s)
        goodput = self.answers.count / max(1.0, clock.running_s)
        self.cap.cut(flight.beside, clock.latency_s, goodput, clock.now)
        self.cap.begin_round(self.in_flight_requests.sent, clock.now)

    def _open_episode(self, flight: InFlightRequest, retry_after_s: float | None, clock: RefusalTimes) -> None:
        episode = self._begin(flight, clock)
        if self.suspect is not None and self.gate.is_checking(self.in_flight_requests.delay.patience_s, clock.now):
            episode = self.suspect
            episode.known_at = clock.now
        self.suspect = None
        episode.stated = self.stated
        self.gate.shut(episode, retry_after_s, self._room(), clock.now)
        evidence = {"beside": flight.beside, "retry_after_s": retry_after_s}
        self.decide("throttle", {**self.gate.describe(clock.now), **evidence})

    def _begin(self, flight: InFlightRequest, clock: RefusalTimes) -> Episode:
        return begin(flight, EpisodeContext(self.ledger, self.rates.level, clock.capped_s, clock.running_s, clock.now))

    def _refuse_trial(self, episode: Episode, retry_after_s: float | None, now: float) -> None:
        event = "early" if episode.is_early else "throttle"
        self.gate.refuse_trial(retry_after_s, self._room(), now)
        self.decide(event, {**self.gate.describe(now), "retry_after_s": retry_after_s})

    def _room(self) -> WindowRoom:
        return WindowRoom(self.ledger, self.rates.level, self.in_flight_requests.tokens(), self.rates.counts_answers)
