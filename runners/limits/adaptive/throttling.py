"""What a refusal means: the rest of a burst, a refused trial, a concurrency limit, or the beginning of an episode under a rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from providers.messages import JSON, RateLimitHint

from ..stated import UNSTATED, StatedQuota, stated_quota
from .answers import Answers
from .cap import Cap
from .episode import Episode, Scene, begin
from .flights import Flight, Flights
from .gate import Gate, Room
from .headers import Brake
from .learning import RateLearner
from .ledger import Amounts, Ledger
from .rate_model import FLOW, RateModel

CHECKS_AFTER_CUT = 1
"""Sends that go alone after a concurrency limit was read off a refusal: were it a rate, they would be refused."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The times that a refusal is judged by, in seconds."""

    latency_s: float
    running_s: float
    capped_s: float
    now: float


@dataclass(slots=True)
class Throttling:
    ledger: Ledger
    flights: Flights
    answers: Answers
    gate: Gate
    cap: Cap
    rates: RateModel
    learner: RateLearner
    brake: Brake
    decide: Callable[[str, Mapping[str, JSON]], None]
    suspect: Episode | None = None
    """The refusal behind the last concurrency cut: if the next ones say that it was a rate, it is where the episode began."""

    stated: StatedQuota = UNSTATED
    """By the last refusal."""

    def refuse(self, flight: Flight, delay_s: float, hint: RateLimitHint | None, clock: Clock) -> None:
        told_s, self.stated = hint.retry_after_s if hint else None, stated_quota(hint)
        self.flights.delay.learn(delay_s)
        self._take_back(flight)
        episode = self.gate.episode
        if episode is not None and flight.sent_at < episode.known_at:
            self.gate.extend(told_s, clock.now)
        elif flight.sent_at < self.cap.cut_at:
            self.cap.lower(flight.beside)
        elif episode is not None:
            self._refuse_trial(episode, told_s, clock.now)
        elif told_s is None and self._is_concurrency(flight, clock.now):
            self._cut(flight, clock)
        else:
            self._open_episode(flight, told_s, clock)

    def correct(self, flight: Flight, by: Amounts) -> None:
        """A send turned out to count for another amount."""
        self.ledger.correct(flight.entry, by)
        for episode in (self.gate.episode, self.suspect):
            if episode is not None:
                episode.correct(flight, by)

    def _take_back(self, flight: Flight) -> None:
        """A refused request counts nowhere."""
        requests, tokens, ceiling, _ = flight.amounts
        self.correct(flight, (-requests, -tokens, -ceiling, 0.0))
        self.flights.refuse(flight)
        self.brake.refuse(flight)

    def _is_concurrency(self, flight: Flight, now: float) -> bool:
        accepted_beside = self.flights.accepted_beside.highest(now)
        if self.cap.refused_alike(flight.beside, accepted_beside):
            self.learner.forget()
            return True
        return self.rates.level == FLOW and self.cap.looks_like_concurrency(flight.beside, accepted_beside)

    def _cut(self, flight: Flight, clock: Clock) -> None:
        if self.cap.mode != "conc":
            self.suspect = self._begin(flight, clock)
            self.gate.check(CHECKS_AFTER_CUT, clock.now + self.flights.delay.patience_s)
        goodput = self.answers.count / max(1.0, clock.running_s)
        self.cap.cut(flight.beside, clock.latency_s, goodput, clock.now)
        self.cap.begin_round(self.flights.sent, clock.now)

    def _open_episode(self, flight: Flight, told_s: float | None, clock: Clock) -> None:
        episode = self._begin(flight, clock)
        if self.suspect is not None and self.gate.is_checking(self.flights.delay.patience_s, clock.now):
            episode = self.suspect
            episode.known_at = clock.now
        self.suspect = None
        episode.stated = self.stated
        self.gate.shut(episode, told_s, self._room(), clock.now)
        evidence = {"beside": flight.beside, "retry_after_s": told_s}
        self.decide("throttle", {**self.gate.describe(clock.now), **evidence})

    def _begin(self, flight: Flight, clock: Clock) -> Episode:
        return begin(flight, Scene(self.ledger, self.rates.level, clock.capped_s, clock.running_s, clock.now))

    def _refuse_trial(self, episode: Episode, told_s: float | None, now: float) -> None:
        event = "early" if episode.is_early else "throttle"
        self.gate.refuse_trial(told_s, self._room(), now)
        self.decide(event, {**self.gate.describe(now), "retry_after_s": told_s})

    def _room(self) -> Room:
        return Room(self.ledger, self.rates.level, self.flights.tokens(), self.rates.counts_answers)
