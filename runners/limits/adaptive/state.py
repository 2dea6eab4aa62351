"""The state of an adaptive limiter: gates in series, each learned from its own evidence.

    acquire ─► throttle gate ─► concurrency cap ─► remaining quota ─► pacer ─► ledger ─► Go

Pure: every method takes `now` in loop seconds, awaits nothing and uses no random numbers, so the same events give the same decisions.
WaitForEvent is never returned with nothing in flight; the cap is never below one. Server errors never change a limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from providers.messages import JSON

from ..permit import Cost, Go, Settled, WaitForEvent, WaitUntil
from .answer_floor import AnswerFloor, Progress
from .blocked_time import BlockedTime, Blocker
from .concurrency.answer_statistics import AnswerStatistics
from .concurrency.circuit_breaker import CircuitBreaker
from .concurrency.concurrency_cap import ConcurrencyCap
from .concurrency.in_flight import InFlightRequest, InFlightRequests
from .ledger import REQUESTS, Amounts, SendLedger
from .rate.episode_evidence import EpisodeEvidence
from .rate.limit_probe import LimitProbe
from .rate.pacer import Pacer
from .rate.rate_learner import RateLearner
from .rate.rate_model import FLOW, RateModel
from .remaining_quota import RemainingQuotaGate
from .remembered_limit import RememberedLimit
from .throttling.refusals import RefusalClassifier, RefusalTimes
from .throttling.throttle_gate import AdaptiveThrottleGate
from .throttling.trials import settle_window
from .worker_loop import WorkerLoop

OnDecision = Callable[[str, Mapping[str, JSON]], None]
FIRST_GAP_S = 0.25
"""Time between two sends before the first answer."""
USUAL_LATENCY_S, SHORTEST_LATENCY_S = 2.0, 0.001


def _ignore(event: str, evidence: Mapping[str, JSON]) -> None:
    pass


class AdaptiveLimits:
    """The AdaptiveState of one limiter group.

    `most` bounds the requests in flight (None: only the learned cap does). `restored` is what `export` returned at the end of an earlier
    run: it is used from the first send and corrected like any learned value. `on_decision` gets every decision, never a request.
    """

    def __init__(
        self, *, most: int | None, restored: Mapping[str, JSON] | None = None, on_decision: OnDecision = _ignore
    ) -> None:
        self._decide = on_decision
        self._time = BlockedTime()
        self._ledger = SendLedger()
        self._in_flight_requests = InFlightRequests()
        self._answers = AnswerStatistics()
        self._gate = AdaptiveThrottleGate()
        self._breaker = CircuitBreaker()
        self._cap = ConcurrencyCap(math.inf if most is None else float(max(1, most)), on_decision)
        self._rates = RateModel()
        self._rates.windows_s = self._ledger.windows_s
        self._learner = RateLearner(self._rates, on_decision)
        self._pacer = Pacer()
        self._probe = LimitProbe()
        self._remaining_quota = RemainingQuotaGate()
        self._throttling = RefusalClassifier(
            self._ledger,
            self._in_flight_requests,
            self._answers,
            self._gate,
            self._cap,
            self._rates,
            self._learner,
            self._remaining_quota,
            on_decision,
        )
        self._began_at: float | None = None
        self._sent_at = -math.inf
        self._throttled = self._failed = 0
        self._floor = AnswerFloor(on_decision)
        self._loop = WorkerLoop(
            self._floor,
            self._time,
            self._ledger,
            self._in_flight_requests,
            self._answers,
            self._throttling,
        )
        self._remembered = RememberedLimit(self._rates, self._cap, self._answers, self._ledger, on_decision)
        if restored:
            self._remembered.restore(restored)

    # ------------------------------------------------------------------ before a send
    def acquire(self, cost: Cost, now: float) -> Go | WaitUntil | WaitForEvent:
        """Decide whether a request may be sent now, at a time, or after an event."""
        if self._remembered.is_open or self._began_at is None:
            self._remembered.see(now)
        if (self._floor.is_looping or now >= self._floor.checks_at) and self._loops(now):
            return self._loop.acquire(cost, now)
        if self._gate.episode is not None and self._gate.trial_was_accepted(now):
            self._reopen(now)
        if self._probe.ticket is not None and self._in_flight_requests.was_accepted(self._probe.ticket, now):
            self._judge_probe(now, accepted=True)
        if self._remembered.probe is not None and self._in_flight_requests.was_accepted(self._remembered.probe, now):
            self._remembered.probed(now, accepted=True)
        shut_until = self._shut_until()
        if shut_until > now:
            return self._wait("gate", shut_until, now)
        if self._is_full():
            return self._full(now)
        amounts = self._answers.amounts(cost)
        blocked = self._blocked(amounts, now)
        if blocked is None:
            return self._go(amounts, now)
        return self._wait(*blocked, now) if blocked[0] != "ledger" else self._go_or_probe(amounts, blocked[1], now)

    def _go_or_probe(self, amounts: Amounts, room_at: float, now: float) -> Go | WaitUntil:
        """Wait until the window has room, or send a request before, to test whether it is shorter."""
        rates = self._rates
        if rates.is_doubted and self._remembered.probe is None:
            sent = self._go(amounts, now)
            self._remembered.probe = sent.ticket
            return sent
        probe_at, window_s = math.inf, rates.window_s
        if not rates.is_exact:
            requests_at = rates.requests_fit_at(self._ledger, now)
            probe_at = self._probe.due_at(window_s, requests_at, now)
            window_s -= requests_at - now
        if probe_at > now:
            return self._wait("ledger", min(room_at, probe_at), now)
        sent = self._go(amounts, now)
        self._probe.sent(sent.ticket, window_s)
        return sent

    def opens_at(self, now: float) -> float | None:
        """Return the earliest time at which a request of any size may be sent; `now` if at once, None if only after an event.

        It is asked for a request that waits: the time from now on counts for the gate that blocks it.
        """
        if (self._floor.is_looping or now >= self._floor.checks_at) and self._loops(now):
            return self._loop.opens_at(now)
        if self._gate.episode is not None and self._gate.trial_was_accepted(now):
            return now
        shut_until = self._shut_until()
        if shut_until > now:
            self._time.turn("gate", now)
            return shut_until
        if self._is_full():
            self._full(now)
            return None
        if self._gate.tests_chance or self._pacer.is_due(now):
            return now
        self._time.turn("pacer", now)
        return self._pacer.next_at

    def _loops(self, now: float) -> bool:
        """Return whether requests are sent one at a time, after a check of the answers that is due."""
        floor = self._floor
        if not floor.is_looping and now >= floor.checks_at:
            idle_s = self._time.under(now)["idle"]
            floor.check(Progress(self._answers.count, self._throttled, idle_s, self._latency_s(), now))
        return floor.is_looping

    def _blocked(self, amounts: Amounts, now: float) -> tuple[Blocker, float] | None:
        """Return the first of the gates that open at a time which is shut, and its time; None if all are open."""
        latency_s = self._latency_s()
        opens_at = self._cap.probe.quiet_until(self._in_flight_requests.count, self._sent_at, latency_s)
        if opens_at > now and not self._gate.tests_chance:
            return "cap", opens_at
        if self._rates.level == FLOW:
            opens_at = self._remaining_quota.opens_at(amounts, latency_s, now)
            if opens_at > now:
                return "quota", opens_at
        if self._gate.tests_chance:
            return None
        if not self._pacer.is_due(now):
            return "pacer", self._pacer.next_at
        opens_at = self._rates.opens_at(amounts, self._ledger, now)
        return ("ledger", opens_at) if opens_at > now else None

    def _shut_until(self) -> float:
        return max(self._gate.opens_at, self._gate.holds_until, self._breaker.opens_at)

    def _is_full(self) -> bool:
        """Return whether the cap is reached; while the breaker is tripped it is one."""
        in_flight = self._in_flight_requests.count
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
        request = self._in_flight_requests.send(amounts, self._ledger.add(amounts, now), now)
        self._sent_at = now
        if self._throttling.chance.is_suspected:
            request.load = self._ledger.counts(0, now)[REQUESTS]
        self._remaining_quota.send(request)
        self._cap.sent()
        self._gate.sent(self._in_flight_requests.delay.patience_s, now)
        self._pacer.sent(self._gap_s(amounts, now), now)
        return Go(request.number)

    def _gap_s(self, amounts: Amounts, now: float) -> float:
        if self._throttling.chance.pace is not None:
            return 1 / self._throttling.chance.pace
        if self._rates.limits is not None and not self._rates.is_doubted:
            return self._rates.gap_s(amounts, now)
        if self._cap.pace is not None:
            return 1 / self._cap.pace
        return 0.0 if self._answers.count else FIRST_GAP_S

    # ------------------------------------------------------------------ after a request
    def settle(self, ticket: int, settled: Settled, now: float) -> None:
        """Learn from the end of the request with this ticket."""
        request = self._in_flight_requests.end(ticket)
        if request.number == self._loop.latest:
            self._throttled += settled.how == "throttled"
            if self._loop.settle(request, settled, now) == "over":
                self._start_over(now)
            return
        is_remembered_probe, is_accepted = request.number == self._remembered.probe, settled.how != "throttled"
        is_probe = is_remembered_probe or request.number == self._probe.ticket
        if is_remembered_probe:
            self._remembered.probed(now, accepted=is_accepted)
        elif is_probe:
            self._judge_probe(now, accepted=is_accepted)
        if settled.how == "succeeded":
            self._succeed(request, settled, now)
        elif settled.how == "throttled" and is_probe:
            self._throttled += 1
            self._throttling.take_back(request, settled.latency_s)
        elif settled.how == "throttled":
            self._throttled += 1
            self._remembered.refused(now)
            self._throttling.refuse(request, settled.latency_s, settled.hint, self._clock(now))
        elif settled.how == "failed":
            self._fail(now)

    def _judge_probe(self, now: float, *, accepted: bool) -> None:
        """Shorten the window if a request before it had room was accepted."""
        rates = self._rates
        if accepted and rates.level != FLOW and rates.limits is not None:
            before = rates.describe()
            self._ledger.resize(rates.level, self._probe.accepted())
            rates.make_room_for(self._ledger.counts(rates.level, now))
            self._decide("probe", {"accepted": True, "old": before, "new": rates.describe()})
            self._cap.follow_rate(self._asked_rate(now), self._latency_s(), is_window=True)
        else:
            self._probe.refused(rates.window_s, now)
        self._note_exactness(now)

    def _note_exactness(self, now: float) -> None:
        """Stop to probe for the length of a window that is known exactly; its limit is probed from now on."""
        rates = self._rates
        if not rates.is_exact and self._probe.is_exact(rates.window_s):
            rates.is_exact, rates.learnt_at = True, now

    def _succeed(self, request: InFlightRequest, settled: Settled, now: float) -> None:
        self._breaker.succeeded()
        self._gate.answered(request.sent_at, now)
        if self._throttling.chance.is_suspected:
            self._throttling.chance.note(request.sent_at, request.load, now, refused=False)
        self._in_flight_requests.confirm(now)
        self._answers.learn(settled.latency_s, settled.usage)
        self._loop.reconcile(request, settled, now)
        if settled.hint is not None:
            self._remaining_quota.learn(request, settled.hint)
        self._cap.answered(request.number, settled.latency_s, settled.usage.output_tokens if settled.usage else 0)
        if self._cap.round_is_over():
            if self._gate.episode is None:
                self._cap.judge_round(self._latency_s(), now, self._asked_rate(now))
                self._throttling.chance.speed_up()
            self._cap.begin_round(self._in_flight_requests.sent, now)
        self._cap.probe_slots(self._in_flight_requests.count, self._latency_s(), now)

    def _fail(self, now: float) -> None:
        self._failed += 1
        if self._breaker.failed(now):
            self._decide("breaker", {"failures": self._breaker.failures, "wait_s": self._breaker.opens_at - now})

    def _reopen(self, now: float) -> None:
        episode = self._gate.reopen()
        if episode.trial is not None:
            self._throttling.accept_doubt(episode, self._clock(now))
            return
        if episode.is_early:
            self._decide("early", {"accepted": True, "retry_after_s": episode.retry_after_s})
        settle_window(episode, self._ledger, self._gate.trial_at)
        self._throttling.chance.pace = None
        running_s = self._running_s(now)
        self._learner.learn(
            episode,
            EpisodeEvidence(self._ledger, self._answers, self._gate.trusts_hint, running_s, now, self._gate.trial_at),
        )
        self._remembered.learned(now, by_chance=self._throttling.chance.is_suspected)
        if not self._rates.is_exact:
            self._probe.begin(self._rates.window_s, self._rates.too_short_s, now)
            self._note_exactness(now)
        self._cap.follow_rate(self._asked_rate(now), self._latency_s(), is_window=self._rates.level != FLOW)
        self._cap.begin_round(self._in_flight_requests.sent, now)
        limits = self._rates.limits
        gap_s = 1 / limits[REQUESTS] if limits is not None and self._rates.level == FLOW else 0.0
        self._pacer.restart(max(now, self._gate.trial_at + gap_s))  # the trial counts as a send

    def _start_over(self, now: float) -> None:
        """Forget all limits: less was answered under them than to one worker."""
        self._learner.forget()
        self._gate.restart(now)
        self._cap.restart()
        self._throttling.restart()
        self._cap.begin_round(self._in_flight_requests.sent, now)

    # ------------------------------------------------------------------ one quota behind several limiters
    def accepted(self, after: float, until: float) -> Sequence[float]:
        """Return what was sent and not refused after one time and until another, at most a minute ago, in the order of UNITS."""
        return self._ledger.between(after, until)

    def absorb(self, other: AdaptiveLimits, now: float) -> None:
        """Limit the requests of `other` from now on, too: both met one limit. Requests in flight of `other` are settled there."""
        own_episode, other_episode = self._gate.episode, other._gate.episode
        if own_episode is None and other_episode is not None:
            other_episode.count_beside(self._ledger, now)
        elif own_episode is not None and other_episode is None:
            own_episode.count_beside(other._ledger, now)
        self._ledger.absorb(other._ledger, now)
        self._gate.absorb(other._gate)
        self._throttling.chance.refute()
        self._rates.tilts_until = now
        self._cap.absorb(other._cap)
        if self._gate.episode is not None:
            self._learner.forget()
        else:
            self._rates.absorb(other._rates)

    def settle_doubts(self) -> None:
        """Take the current refusal to be by a rate limit: others were refused until the same moment."""
        self._gate.settle_doubts()

    def tilt(self, share: float, until: float, now: float) -> None:
        """Ask for `share` of the known limit until then, to find out whether it is shared."""
        self._rates.tilt, self._rates.tilts_until = share, until
        self._decide("tilt", {"share": share, "for_s": round(until - now, 3)})

    @property
    def experience(self) -> float:
        """Number of requests accepted so far: the limiter with the highest number has learned most."""
        return self._ledger.total[REQUESTS]

    # ------------------------------------------------------------------ current state
    def _clock(self, now: float) -> RefusalTimes:
        return RefusalTimes(self._latency_s(), self._running_s(now), self._time.cap_s(now), now)

    def _latency_s(self) -> float:
        known_s = self._answers.latency_s
        return USUAL_LATENCY_S if known_s is None else max(SHORTEST_LATENCY_S, known_s)

    def _asked_rate(self, now: float) -> float:
        return self._rates.asked_rate(self._answers.tokens(), now)

    def _running_s(self, now: float) -> float:
        return 0.0 if self._began_at is None else now - self._began_at

    @property
    def sends_others(self) -> bool:
        """Whether refusals come by chance, or the next request tests whether they do."""
        return self._throttling.chance.holds or self._gate.tests_chance

    def shut_until(self, now: float) -> float:
        """Return the time until which a refusal or failures in a row keep it shut; `now` if it is open."""
        return max(now, self._shut_until())

    def time_under(self, now: float) -> Mapping[str, float]:
        """Return the seconds since the first `acquire` under gate, cap, pacer, ledger, quota, and idle; they add up."""
        return self._time.under(now)

    def snapshot(self, now: float) -> Mapping[str, JSON]:
        """Return the current state, for the decision log."""
        return {
            "mode": "adaptive",
            "cap_mode": self._cap.mode,
            "in_flight": self._in_flight_requests.count,
            "cap": int(self._cap.size),
            "shut_for_s": round(max(0.0, self._shut_until() - now), 3),
            "limits": self._rates.describe(),
            "sent": self._in_flight_requests.sent,
            "throttled": self._throttled,
            "failed": self._failed,
        }

    def export(self) -> Mapping[str, JSON]:
        """Return what was learned as a small JSON mapping, for the start of a later run."""
        return self._remembered.export(self._sent_at)
