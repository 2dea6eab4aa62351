"""Three gates in series, each learnt from its own evidence: the throttle gate, the concurrency cap, the rate model.

    acquire ─► gate ─► cap ─► brake ─► pacer ─► ledger ─► Go

Pure: every method takes `now` in loop seconds, awaits nothing and draws nothing, so one script of events gives one log of decisions.
Never WaitForEvent with nothing in flight; the cap is never below one. Server errors never move a limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from providers.messages import JSON

from ..permit import Cost, Go, Settled, WaitForEvent, WaitUntil
from . import persistence as memory
from .blocked_time import BlockedTime, Blocker
from .concurrency.answer_statistics import AnswerStatistics
from .concurrency.circuit_breaker import CircuitBreaker
from .concurrency.concurrency_cap import ConcurrencyCap
from .concurrency.in_flight import InFlightRequest, InFlightRequests
from .ledger import CEILING, REQUESTS, TOKENS, Amounts, SendLedger
from .rate.episode_evidence import EpisodeEvidence
from .rate.pacer import Pacer
from .rate.rate_learner import RateLearner
from .rate.rate_model import FLOW, RateModel
from .remaining_quota import RemainingQuotaGate
from .throttling.refusals import RefusalClassifier, RefusalTimes
from .throttling.throttle_gate import AdaptiveThrottleGate

OnDecision = Callable[[str, Mapping[str, JSON]], None]
FIRST_GAP_S = 0.25
"""Between two sends before the first answer."""
USUAL_LATENCY_S, SHORTEST_LATENCY_S = 2.0, 0.001


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
        self._decide = on_decision
        self._time = BlockedTime()
        self._ledger = SendLedger()
        self._flights = InFlightRequests()
        self._answers = AnswerStatistics()
        self._gate = AdaptiveThrottleGate()
        self._breaker = CircuitBreaker()
        self._cap = ConcurrencyCap(math.inf if most is None else float(max(1, most)), on_decision)
        self._rates = RateModel()
        self._rates.windows_s = self._ledger.windows_s
        self._learner = RateLearner(self._rates, on_decision)
        self._pacer = Pacer()
        self._brake = RemainingQuotaGate()
        self._throttling = RefusalClassifier(
            self._ledger,
            self._flights,
            self._answers,
            self._gate,
            self._cap,
            self._rates,
            self._learner,
            self._brake,
            on_decision,
        )
        self._began_at: float | None = None
        self._sent_at = -math.inf
        self._throttled = self._failed = 0
        if restored:
            memory.restore(restored, self._cap, self._rates, self._answers)

    # ------------------------------------------------------------------ may one be sent?
    def acquire(self, cost: Cost, now: float) -> Go | WaitUntil | WaitForEvent:
        if self._gate.episode is not None and self._gate.trial_was_accepted(now):
            self._reopen(now)
        shut_until = self._shut_until()
        if shut_until > now:
            return self._wait("gate", shut_until, now)
        if self._is_full():
            return self._full(now)
        amounts = self._answers.amounts(cost)
        for blocker, opens_at in self._timed(amounts, now):
            if opens_at > now:
                return self._wait(blocker, opens_at, now)
        return self._go(amounts, now)

    def _timed(self, amounts: Amounts, now: float) -> Iterator[tuple[Blocker, float]]:
        """What opens by itself, in order; the next is only looked at once the one before is open."""
        yield "cap", self._cap.probe.quiet_until(len(self._flights), self._sent_at, self._latency_s())
        if self._rates.level == FLOW:
            yield "brake", self._brake.opens_at(amounts, self._latency_s(), now)
        yield "pacer", self._pacer.next_at
        yield "ledger", self._rates.opens_at(amounts, self._ledger, now)

    def _shut_until(self) -> float:
        return max(self._gate.opens_at, self._gate.holds_until, self._breaker.opens_at)

    def _is_full(self) -> bool:
        """Also while failures in a row let only one through at a time."""
        in_flight = len(self._flights)
        return in_flight >= int(self._cap.size) or (in_flight > 0 and self._breaker.is_tripped)

    def _wait(self, blocker: Blocker, at: float, now: float) -> WaitUntil:
        self._time.turn(blocker, now)
        return WaitUntil(at)

    def _full(self, now: float) -> WaitForEvent:
        self._time.turn("gate" if self._breaker.is_tripped else "cap", now)
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
            self._throttled += 1
            self._throttling.refuse(flight, settled.latency_s, settled.hint, self._clock(now))
        elif settled.how == "failed":
            self._fail(now)

    def _succeed(self, flight: InFlightRequest, settled: Settled, now: float) -> None:
        self._breaker.succeeded()
        self._flights.confirm(now)
        self._answers.learn(settled.latency_s, settled.usage)
        self._reconcile(flight, settled, now)
        if settled.hint is not None:
            self._brake.learn(flight, settled.hint)
        self._cap.answered(flight.number, settled.latency_s, settled.usage.output_tokens if settled.usage else 0)
        if self._cap.round_is_over():
            if self._gate.episode is None:
                self._cap.judge_round(self._latency_s(), now, self._asked_rate(now))
            self._cap.begin_round(self._flights.sent, now)
        self._cap.grow_seats(len(self._flights), self._latency_s(), now)

    def _reconcile(self, flight: InFlightRequest, settled: Settled, now: float) -> None:
        """Put the usage in place of the estimate, and count it at its end, too."""
        used = flight.amounts[TOKENS]
        if settled.usage is not None:
            used = float(settled.usage.input_tokens + settled.usage.output_tokens)
            self._throttling.correct(flight, (0.0, used - flight.amounts[TOKENS], 0.0, 0.0))
            flight.amounts = (1.0, used, flight.amounts[CEILING], 0.0)
        self._ledger.add((0.0, 0.0, 0.0, used), now)

    def _fail(self, now: float) -> None:
        self._failed += 1
        if self._breaker.failed(now):
            self._decide("breaker", {"failures": self._breaker.failures, "wait_s": self._breaker.opens_at - now})

    def _reopen(self, now: float) -> None:
        episode = self._gate.reopen()
        if episode.is_early:
            self._decide("early", {"accepted": True, "retry_after_s": episode.retry_after_s})
        running_s = self._running_s(now)
        self._learner.learn(
            episode, EpisodeEvidence(self._ledger, self._answers, self._gate.trusts_hint, running_s, now)
        )
        self._cap.follow_rate(self._asked_rate(now), self._latency_s(), is_window=self._rates.level != FLOW)
        self._cap.begin_round(self._flights.sent, now)
        limits = self._rates.limits
        gap_s = 1 / limits[REQUESTS] if limits is not None and self._rates.level == FLOW else 0.0
        self._pacer.restart(max(now, self._gate.trial_at + gap_s))  # the trial counts, too

    # ------------------------------------------------------------------ one quota behind several limiters
    def accepted(self, after: float, until: float) -> Sequence[float]:
        """What was sent after one time and until another and not refused, a minute ago at most, in the order of UNITS."""
        return self._ledger.between(after, until)

    def absorb(self, other: AdaptiveLimits, now: float) -> None:
        """Stand for `other` from now on: both had met one limit, of which each knew its part. What `other` has in flight ends there."""
        mine, its = self._gate.episode, other._gate.episode
        if mine is None and its is not None:
            its.count_beside(self._ledger, now)
        elif mine is not None and its is None:
            mine.count_beside(other._ledger, now)
        self._ledger.absorb(other._ledger, now)
        self._gate.absorb(other._gate)
        self._rates.tilts_until = now
        self._cap.absorb(other._cap)
        if self._gate.episode is not None:
            self._learner.forget()
        else:
            self._rates.absorb(other._rates)

    def tilt(self, share: float, until: float, now: float) -> None:
        """Ask for this share of what is known until then, to find out whose limit it is."""
        self._rates.tilt, self._rates.tilts_until = share, until
        self._decide("tilt", {"share": share, "for_s": round(until - now, 3)})

    @property
    def experience(self) -> float:
        """Requests accepted ever: of several limiters the one with the most has learnt most."""
        return self._ledger.total[REQUESTS]

    # ------------------------------------------------------------------ what is known
    def _clock(self, now: float) -> RefusalTimes:
        return RefusalTimes(self._latency_s(), self._running_s(now), self._time.cap_s(now), now)

    def _latency_s(self) -> float:
        known_s = self._answers.latency_s
        return USUAL_LATENCY_S if known_s is None else max(SHORTEST_LATENCY_S, known_s)

    def _asked_rate(self, now: float) -> float:
        return self._rates.asked_rate(self._answers.tokens(), now)

    def _running_s(self, now: float) -> float:
        return 0.0 if self._began_at is None else now - self._began_at

    def opens_at(self, now: float) -> float:
        """Before this time a refusal, or failures in a row, keep it shut; `now` where it is open."""
        return max(now, self._shut_until())

    def time_under(self, now: float) -> Mapping[str, float]:
        """Seconds since the first `acquire` under gate, cap, pacer, ledger, brake, and idle; they add up."""
        return self._time.under(now)

    def snapshot(self, now: float) -> Mapping[str, JSON]:
        return {
            "mode": "adaptive",
            "cap_mode": self._cap.mode,
            "in_flight": len(self._flights),
            "cap": int(self._cap.size),
            "gate_until": self._shut_until(),
            "limits": self._rates.describe(),
            "sent": self._flights.sent,
            "throttled": self._throttled,
            "failed": self._failed,
            "blocked_s": dict(self._time.under(now)),
        }

    def export(self) -> Mapping[str, JSON]:
        """What a later run on this instance may start from: small, and fit for JSON."""
        return memory.export(self._cap, self._rates, self._answers)
