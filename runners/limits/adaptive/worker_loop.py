"""Requests one at a time, past all gates, while the answer floor asks for it. Nothing is learned from their refusals."""

from __future__ import annotations

from dataclasses import dataclass

from ..permit import Cost, Go, Settled, WaitForEvent, WaitUntil
from .answer_floor import AnswerFloor, Verdict
from .blocked_time import BlockedTime
from .concurrency.answer_statistics import AnswerStatistics
from .concurrency.in_flight import InFlightRequest, InFlightRequests
from .ledger import CEILING, TOKENS, SendLedger
from .throttling.refusals import RefusalClassifier


@dataclass(slots=True)
class WorkerLoop:
    """The loop of one limiter."""

    floor: AnswerFloor
    time: BlockedTime
    ledger: SendLedger
    in_flight_requests: InFlightRequests
    answers: AnswerStatistics
    throttling: RefusalClassifier
    latest: int | None = None
    """The number of the last request that it sent."""

    def acquire(self, cost: Cost, now: float) -> Go | WaitUntil | WaitForEvent:
        """Send if nothing is in flight and the wait after a refusal is over."""
        if self.in_flight_requests.count:
            self.time.turn("cap", now)
            return WaitForEvent()
        if self.floor.opens_at > now:
            self.time.turn("gate", now)
            return WaitUntil(self.floor.opens_at)
        self.time.turn("idle", now)
        amounts = self.answers.amounts(cost)
        self.latest = self.in_flight_requests.send(amounts, self.ledger.add(amounts, now), now).number
        return Go(self.latest)

    def opens_at(self, now: float) -> float | None:
        """Return when a request may be sent; None if only after an event."""
        return None if self.in_flight_requests.count else max(now, self.floor.opens_at)

    def settle(self, request: InFlightRequest, settled: Settled, now: float) -> Verdict:
        """Learn times and amounts from a request of the loop, and return whether the loop goes on."""
        if settled.how == "succeeded":
            self.answers.learn(settled.latency_s, settled.usage)
            self.reconcile(request, settled, now)
            return self.floor.answered(now)
        if settled.how == "throttled":
            self.throttling.take_back(request, settled.latency_s)
            return self.floor.refused(settled.hint, now)
        return "going on"

    def reconcile(self, request: InFlightRequest, settled: Settled, now: float) -> None:
        """Replace the estimate of any request by its usage, and count the usage at the time of the answer, too."""
        used = request.amounts[TOKENS]
        if settled.usage is not None:
            used = float(settled.usage.input_tokens + settled.usage.output_tokens)
            self.throttling.correct(request, (0.0, used - request.amounts[TOKENS], 0.0, 0.0))
            request.amounts = (1.0, used, request.amounts[CEILING], 0.0)
        self.ledger.add((0.0, 0.0, 0.0, used), now)
