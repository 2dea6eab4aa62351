"""The classification of a refusal: rest of a burst, refused trial, concurrency limit, or beginning of an episode under a rate limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from providers.messages import JSON, RateLimitHint

from ...refusal_chance import RefusalChance
from ...stated import UNSTATED, StatedQuota, stated_quota
from ..concurrency.answer_statistics import AnswerStatistics
from ..concurrency.concurrency_cap import ConcurrencyCap
from ..concurrency.in_flight import InFlightRequest, InFlightRequests
from ..episode import Doubt, Episode, EpisodeContext, begin
from ..ledger import Amounts, SendLedger
from ..rate.rate_learner import RateLearner
from ..rate.rate_model import FLOW, RateModel
from ..remaining_quota import RemainingQuotaGate
from .throttle_gate import AdaptiveThrottleGate
from .trials import WindowForecast

CHECKS_AFTER_CUT = 1
"""Sends that go one at a time after a concurrency limit was inferred: if it is a rate limit, they are refused."""
EXPECTED = 0.985
"""A refusal is expected where so much of the known limit was asked for."""
FEWER, MOST_FEWER = 0.75, 2
"""The share of the slots found before that are fewer, and how often they may become fewer."""
SHORT_S = 0.75
"""A shorter Retry-After is waited for without a doubt."""
MOST_SLOT_TRIALS = 2
"""Trials refused in a row after which an answer is not taken to free what was refused."""


@dataclass(frozen=True, slots=True)
class RefusalTimes:
    """The times that the classification needs, in seconds."""

    latency_s: float
    running_s: float
    capped_s: float
    now: float


@dataclass(slots=True)
class RefusalClassifier:
    """The classifier of one limiter group's refusals. It passes each refusal on to the gate, the cap or the learner."""

    ledger: SendLedger
    in_flight_requests: InFlightRequests
    answers: AnswerStatistics
    gate: AdaptiveThrottleGate
    cap: ConcurrencyCap
    rates: RateModel
    learner: RateLearner
    remaining_quota: RemainingQuotaGate
    decide: Callable[[str, Mapping[str, JSON]], None]
    suspect: Episode | None = None
    """The episode that began at the last concurrency cut, if the next refusals show that the limit was a rate."""

    stated: StatedQuota = UNSTATED
    """The quota that the last refusal stated."""
    chance: RefusalChance = field(default_factory=RefusalChance)
    fewer_slots: int = 0
    """How often in a row fewer slots were found than before."""
    slot_trials_refused: int = 0
    """Number of trials that were refused although an answer had freed a slot, since the last one that was accepted."""

    def refuse(self, request: InFlightRequest, delay_s: float, hint: RateLimitHint | None, clock: RefusalTimes) -> None:
        """Classify a refusal that arrived `delay_s` after its send, and act on it."""
        retry_after_s, self.stated = hint.retry_after_s if hint else None, stated_quota(hint)
        self.take_back(request, delay_s)
        if self.chance.is_suspected:
            did_hold = self.chance.holds
            self.chance.note(request.sent_at, request.load, clock.now, refused=True)
            if self.chance.holds:
                return
            if did_hold:
                self.decide("chance", {"holds": False, "share": round(self.chance.share, 3)})
        episode = self.gate.episode
        if episode is not None and request.sent_at < episode.known_at:
            self.gate.extend(retry_after_s, clock.now)
        elif request.sent_at < self.cap.cut_at:
            self.cap.lower(request.beside)
        elif episode is not None:
            self._refuse_trial(episode, retry_after_s, clock)
        elif self.stated.kind == "concurrency" and request.beside:
            self._cut(request.beside, None, clock)
        elif (retry_after_s is None or self.cap.mode == "conc") and self._is_concurrency(request, clock.now):
            self._cut(request.beside, self._begin(request, clock), clock)
        else:
            self._open_episode(request, retry_after_s, clock)

    def restart(self) -> None:
        """Forget what refusals were taken for."""
        self.suspect, self.fewer_slots, self.slot_trials_refused = None, 0, 0
        self.chance.refute()

    def correct(self, request: InFlightRequest, by: Amounts) -> None:
        """Correct the amounts of a send in the ledger and in the open episodes."""
        self.ledger.correct(request.entry, by)
        for episode in (self.gate.episode, self.suspect):
            if episode is not None:
                episode.correct(request, by)

    def take_back(self, request: InFlightRequest, delay_s: float) -> None:
        """Remove a refused request from all counts."""
        self.in_flight_requests.delay.learn(delay_s)
        requests, tokens, ceiling, _ = request.amounts
        self.correct(request, (-requests, -tokens, -ceiling, 0.0))
        self.in_flight_requests.refuse(request)
        self.remaining_quota.refuse(request)

    def _is_concurrency(self, request: InFlightRequest, now: float) -> bool:
        accepted_beside = self.in_flight_requests.accepted_beside.highest(now)
        if self.cap.refused_alike(request.beside, accepted_beside):
            self.learner.forget()
            return True
        return self.rates.level == FLOW and self.cap.looks_like_concurrency(request.beside, accepted_beside)

    def _cut(self, beside: int, suspect: Episode | None, clock: RefusalTimes) -> None:
        """Cut the cap to `beside`. If the next sends show that the limit was a rate, it is that of `suspect`."""
        if self.cap.mode != "conc" and suspect is not None:
            self.suspect = suspect
            self.gate.check(CHECKS_AFTER_CUT, clock.now + self.in_flight_requests.delay.patience_s)
        goodput = self.answers.count / max(1.0, clock.running_s)
        self.cap.cut(beside, clock.latency_s, goodput, clock.now)
        self.cap.begin_round(self.in_flight_requests.sent, clock.now)

    def accept_doubt(self, episode: Episode, clock: RefusalTimes) -> None:
        """Draw the conclusion of an accepted trial that tested another cause than a rate limit."""
        self.decide("doubt", {"cause": episode.trial, "accepted": True, "retry_after_s": episode.retry_after_s or None})
        if episode.trial == "chance":
            self.chance.tested(accepted=True)
            if self.chance.holds:
                self.learner.forget()
                self.cap.restart()
                self.decide("chance", {"holds": True, "share": round(self.chance.share, 3)})
        else:
            self._take_slots(max(1, self.in_flight_requests.count), clock)

    def _take_slots(self, count: int, clock: RefusalTimes) -> None:
        """Cut the cap to `count` slots. If they become ever fewer, slots are not what is limited: then refusals come by chance."""
        self.slot_trials_refused = 0
        self.learner.forget()
        self.fewer_slots = self.fewer_slots + 1 if self.cap.mode == "conc" and count < FEWER * self.cap.size else 0
        if self.fewer_slots < MOST_FEWER:
            self._cut(count, None, clock)
            return
        self.slot_trials_refused, self.fewer_slots = MOST_SLOT_TRIALS, 0
        self.chance.hold()
        self.cap.restart()
        self.decide("chance", {"holds": True, "slots": count})

    def _open_episode(self, request: InFlightRequest, retry_after_s: float | None, clock: RefusalTimes) -> None:
        episode = self._begin(request, clock)
        if self.suspect is not None and self.gate.is_checking(self.in_flight_requests.delay.patience_s, clock.now):
            episode = self.suspect
            episode.known_at = clock.now
        self.suspect = None
        episode.stated = self.stated
        episode.doubts = self._doubts(request, retry_after_s, clock.now)
        episode.is_about_slots = self.cap.mode == "conc" and "slot" in episode.doubts
        self.gate.shut(episode, retry_after_s, self._forecast(clock.latency_s), clock.now)
        evidence = {"beside": request.beside, "retry_after_s": retry_after_s}
        self.decide("throttle", {**evidence, **self.gate.describe(clock.now)})

    def _begin(self, request: InFlightRequest, clock: RefusalTimes) -> Episode:
        return begin(request, EpisodeContext(self.ledger, self.rates.level, clock.capped_s, clock.running_s, clock.now))

    def _doubts(self, request: InFlightRequest, retry_after_s: float | None, now: float) -> list[Doubt]:
        """List the other causes than a rate limit that are possible, in the order in which they are tested."""
        doubts: list[Doubt] = []
        shortest_s = max(SHORT_S, 2 * self.in_flight_requests.delay.mean_s)
        if retry_after_s is None or retry_after_s < shortest_s:  # a trial would come no sooner, or show nothing
            return doubts
        is_expected = self.rates.limits is not None and self.rates.factor(now) > EXPECTED
        if self.chance.may_be_tested():
            doubts.append("chance")
        may_be_slots = request.beside and self.slot_trials_refused < MOST_SLOT_TRIALS and not is_expected
        if self.cap.mode == "conc" or may_be_slots:
            doubts.append("slot")
        return doubts

    def _refuse_trial(self, episode: Episode, retry_after_s: float | None, clock: RefusalTimes) -> None:
        event = "early" if episode.is_early else "throttle"
        tested = {"tested": episode.trial} if episode.trial else {}
        self.slot_trials_refused += episode.trial == "slot"
        was_chance = "chance" in episode.doubts
        self.gate.refuse_trial(retry_after_s, self._forecast(clock.latency_s), clock.now)
        if was_chance and "chance" not in episode.doubts:
            self.chance.tested(accepted=False)
        self.decide(event, {**tested, "retry_after_s": retry_after_s, **self.gate.describe(clock.now)})

    def _forecast(self, latency_s: float) -> WindowForecast:
        return WindowForecast(
            self.ledger,
            self.rates.level,
            self.in_flight_requests.tokens(),
            self.rates.counts_answers,
            latency_s,
            self.rates.is_guessed,
            1 / self.rates.rate if self.rates.level == FLOW else 0.0,
        )
