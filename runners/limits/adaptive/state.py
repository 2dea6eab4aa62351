"""Three gates in series, each learnt from its own evidence: the throttle gate, the rate model, the concurrency cap.

    acquire ─► gate ─► cap ─► brake ─► pacer ─► ledger ─► Go

Pure: every method takes `now` in loop seconds, awaits nothing and draws nothing, so one script of events gives one log of decisions.
Never WaitForEvent with nothing in flight; the cap is never below one. Server errors never move a limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from providers.messages import JSON

from ..permit import Cost, Go, Settled, WaitForEvent, WaitUntil
from . import memory
from .answers import Answers
from .blocked_time import BlockedTime, Blocker
from .breaker import Breaker
from .cap import Cap
from .episode import Episode, Scene, begin
from .flights import Flight, Flights
from .gate import Gate, Room
from .headers import Brake
from .ledger import ANSWERED, CEILING, REQUESTS, TOKENS, UNITS, Amounts, Ledger
from .pacer import Pacer
from .rate_model import FLOW, Evidence, RateModel

OnDecision = Callable[[str, Mapping[str, JSON]], None]
FIRST_GAP_S = 0.25
"""Between two sends before the first answer."""
USUAL_LATENCY_S = 2.0
CHECKS_AFTER_CUT = 1
"""Sends that go one at a time after a concurrency limit was read off a refusal: were it a rate, they would be refused."""


def _ignore(event: str, evidence: Mapping[str, JSON]) -> None:
    pass


class AdaptiveLimits:
    """The AdaptiveState of one limiter group.

    `most` bounds what is in flight (None: nothing but what is learnt does). `restored` is what `export` gave at the end of an earlier
    run: it is used from the first send and corrected like anything learnt since. `on_decision` gets every decision, never a request.
    """

    def __init__(
        self, *, most: int | None, restored: Mapping[str, JSON] | None = None, on_decision: OnDecision = _ignore
    ) -> None:
        self._most = math.inf if most is None else max(1, most)
        self._decide = on_decision
        self._time = BlockedTime()
        self._ledger = Ledger()
        self._flights = Flights()
        self._answers = Answers()
        self._gate = Gate()
        self._breaker = Breaker()
        self._cap = Cap(on_decision)
        self._rates = RateModel(on_decision)
        self._pacer = Pacer()
        self._brake = Brake()
        self._suspect: Episode | None = None
        """The refusal behind the last concurrency cut: if the next ones say that it was a rate, it is where the episode began."""
        self._began_at: float | None = None
        self._sent_at = -math.inf
        self._throttled = self._failed = 0
        if restored:
            memory.restore(restored, self._cap, self._rates, self._answers)

    # ------------------------------------------------------------------ may one be sent?
    def acquire(self, cost: Cost, now: float) -> Go | WaitUntil | WaitForEvent:
        if self._gate.episode is not None and self._gate.trial_was_accepted(now):
            self._reopen(now)
        shut = self._shut_until(now)
        if shut > now:
            return self._wait("gate", shut, now)
        if self._is_full():
            return self._full(now)
        quiet = self._cap.quiet_until(len(self._flights), self._sent_at, self._latency_s())
        if quiet > now:
            return self._wait("cap", quiet, now)
        amounts = self._answers.amounts(cost)
        opens_at = self._brake.opens_at(amounts, self._latency_s(), now)
        if opens_at > now:
            return self._wait("brake", opens_at, now)
        if self._pacer.next_at > now:
            return self._wait("pacer", self._pacer.next_at, now)
        opens_at = self._rates.opens_at(amounts, self._ledger, now)
        if opens_at > now:
            return self._wait("ledger", opens_at, now)
        return self._go(amounts, now)

    def _shut_until(self, now: float) -> float:
        return max(self._gate.opens_at, self._gate.holds_until, self._breaker.opens_at)

    def _is_full(self) -> bool:
        in_flight = len(self._flights)
        return in_flight >= min(int(self._cap.size), self._most) or (in_flight > 0 and self._breaker.is_tripped)

    def _wait(self, blocker: Blocker, at: float, now: float) -> WaitUntil:
        self._time.turn(blocker, now)
        return WaitUntil(at)

    def _full(self, now: float) -> WaitForEvent:
        self._time.turn("cap", now)
        self._cap.held_up()
        return WaitForEvent()

    def _go(self, amounts: Amounts, now: float) -> Go:
        if self._began_at is None:
            self._began_at = now
        self._time.turn("idle", now)
        flight = self._flights.send(amounts, self._ledger.add(amounts, now), now)
        self._sent_at = now
        self._brake.send(flight)
        self._cap.sent()
        self._gate.sent(self._flights.delay.patience_s, now)
        self._pacer.sent(self._gap_s(amounts, now), now)
        return Go(flight.number)

    def _gap_s(self, amounts: Amounts, now: float) -> float:
        if self._rates.limits is not None:
            return self._rates.gap_s(amounts, now)
        if self._cap.pace is not None:
            return 1 / self._cap.pace
        return FIRST_GAP_S if self._answers.latency_s is None else 0.0

    # ------------------------------------------------------------------ how did it end?
    def settle(self, ticket: int, settled: Settled, now: float) -> None:
        flight = self._flights.end(ticket)
        if settled.how == "succeeded":
            self._succeed(flight, settled, now)
        elif settled.how == "throttled":
            self._throttle(flight, settled, now)
        elif settled.how == "failed":
            self._fail(now)

    def _succeed(self, flight: Flight, settled: Settled, now: float) -> None:
        self._breaker.succeeded()
        self._flights.confirm(now)
        self._answers.learn(settled.latency_s, settled.usage)
        self._reconcile(flight, settled, now)
        if settled.hint is not None:
            self._brake.learn(flight, settled.hint)
        output = settled.usage.output_tokens if settled.usage else 0
        self._cap.answered(flight.number, settled.latency_s, output)
        if self._cap.round_is_over():
            if self._gate.episode is None:
                self._cap.judge_round(self._latency_s(), self._rates.limits is not None, now)
            self._cap.begin_round(self._flights.sent, now)
        self._cap.probe(len(self._flights), self._latency_s(), now)

    def _reconcile(self, flight: Flight, settled: Settled, now: float) -> None:
        """Put the usage in place of the estimate, and count it at its end, too."""
        used = flight.amounts[TOKENS]
        if settled.usage is not None:
            used = float(settled.usage.input_tokens + settled.usage.output_tokens)
            by = (0.0, used - flight.amounts[TOKENS], 0.0, 0.0)
            self._ledger.correct(flight.entry, by)
            if self._gate.episode is not None:
                self._gate.episode.correct(flight, by)
            flight.amounts = (1.0, used, flight.amounts[CEILING], 0.0)
        self._ledger.add((0.0, 0.0, 0.0, used), now)

    def _fail(self, now: float) -> None:
        self._failed += 1
        if self._breaker.failed(now):
            self._decide("breaker", {"failures": self._breaker.failures, "wait_s": self._breaker.opens_at - now})

    def _throttle(self, flight: Flight, settled: Settled, now: float) -> None:
        self._throttled += 1
        told_s = settled.hint.retry_after_s if settled.hint else None
        self._flights.delay.learn(settled.latency_s)
        self._take_back(flight)
        episode = self._gate.episode
        if episode is not None and flight.sent_at < episode.known_at:
            self._gate.extend(told_s, now)
        elif flight.sent_at < self._cap.cut_at:
            self._cap.lower(flight.beside)
        elif episode is not None:
            self._refuse_trial(told_s, now)
        elif told_s is None and self._is_concurrency(flight, now):
            self._cut(flight, now)
        else:
            self._open_episode(flight, told_s, now)

    def _take_back(self, flight: Flight) -> None:
        """A refused request counts nowhere."""
        by = (-flight.amounts[0], -flight.amounts[1], -flight.amounts[2], -flight.amounts[3])
        self._ledger.correct(flight.entry, by)
        self._flights.refuse(flight)
        self._brake.refuse(flight)
        for episode in (self._gate.episode, self._suspect):
            if episode is not None:
                episode.correct(flight, by)

    def _is_concurrency(self, flight: Flight, now: float) -> bool:
        accepted_beside = self._flights.accepted_beside.highest(now)
        if self._cap.refused_alike(flight.beside, accepted_beside):
            self._rates.forget()
            return True
        return self._rates.level == FLOW and self._cap.looks_like_concurrency(flight.beside, accepted_beside)

    def _cut(self, flight: Flight, now: float) -> None:
        if self._cap.mode != "conc":
            self._suspect = self._begin(flight, now)
            self._gate.check(CHECKS_AFTER_CUT, now + self._flights.delay.patience_s)
        self._cap.cut(flight.beside, self._latency_s(), self._goodput(now), now)
        self._cap.begin_round(self._flights.sent, now)

    def _open_episode(self, flight: Flight, told_s: float | None, now: float) -> None:
        episode = self._begin(flight, now)
        if self._suspect is not None and self._gate.is_checking:
            episode = self._suspect
            episode.known_at = now
        self._suspect = None
        self._gate.shut(episode, told_s, self._room(), now)
        self._decide("throttle", {**self._gate.describe(now), "beside": flight.beside, "retry_after_s": told_s})

    def _begin(self, flight: Flight, now: float) -> Episode:
        capped_s, running_s = self._time.cap_s(now), self._running_s(now)
        return begin(flight, Scene(self._ledger, self._rates.level, capped_s, running_s, now))

    def _room(self) -> Room:
        return Room(self._ledger, self._rates.level, self._flights.tokens(), self._rates.counts_answers)

    def _refuse_trial(self, told_s: float | None, now: float) -> None:
        was_early = self._gate.episode is not None and self._gate.episode.is_early
        self._gate.refuse_trial(told_s, self._room(), now)
        self._decide("early" if was_early else "throttle", {**self._gate.describe(now), "retry_after_s": told_s})

    def _reopen(self, now: float) -> None:
        episode = self._gate.reopen()
        if episode.is_early:
            self._decide("early", {"accepted": True, "retry_after_s": episode.told_s})
        evidence = Evidence(self._ledger, self._answers, self._gate.believes, self._running_s(now), now)
        self._rates.learn(episode, evidence)
        self._cap.follow_rate(self._rates.rate, self._latency_s())
        self._cap.begin_round(self._flights.sent, now)
        gap_s = 1 / self._rates.limits[REQUESTS] if self._rates.level == FLOW and self._rates.limits else 0.0
        self._pacer.restart(max(now, self._gate.trial_at + gap_s))

    # ------------------------------------------------------------------ what is known
    def _latency_s(self) -> float:
        return USUAL_LATENCY_S if self._answers.latency_s is None else self._answers.latency_s

    def _running_s(self, now: float) -> float:
        return 0.0 if self._began_at is None else now - self._began_at

    def _goodput(self, now: float) -> float:
        return self._answers.count / max(1.0, self._running_s(now))

    def opens_at(self, now: float) -> float:
        """Before this time a refusal, or failures in a row, keep it shut; `now` where it is open."""
        return max(now, self._shut_until(now))

    def time_under(self, now: float) -> Mapping[str, float]:
        """Seconds since the first `acquire` under gate, cap, pacer, ledger, brake, and idle; they add up."""
        return self._time.under(now)

    def snapshot(self, now: float) -> Mapping[str, JSON]:
        limits = self._rates.limits
        return {
            "mode": "adaptive",
            "cap_mode": self._cap.mode,
            "in_flight": len(self._flights),
            "cap": int(min(self._cap.size, self._most)),
            "gate_until": self._shut_until(now),
            "window_s": self._rates.window_s if self._rates.level else None,
            "limits": None if limits is None else dict(zip(UNITS, limits, strict=True)),
            "sent": self._flights.sent,
            "throttled": self._throttled,
            "failed": self._failed,
            "blocked_s": dict(self._time.under(now)),
        }

    def export(self) -> Mapping[str, JSON]:
        """What a later run on this instance may start from: small, and fit for JSON."""
        return memory.export(self._cap, self._rates, self._answers, self._ledger)
