"""The gate of the fixed limiter: it tests whether refusals come by chance. If so, only the refused request waits; if not, all of them.

After a refusal one request is sent although Retry-After is not over. If it is accepted, the refusal said nothing of the next request.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from .permit import Settled
from .refusal_chance import CHANCE_TRIALS, SHORTEST_WAIT_S, RefusalChance
from .refusal_delay import RefusalDelay
from .throttle_gate import ThrottleGate

LOAD_S = 1.0
"""The load of a request is what was accepted in this time before it."""


Sent = tuple[float, float | None]
"""A request in flight: when it was sent, and after how many others in the last second; None where that was not counted."""


@dataclass(slots=True)
class ChanceTest:
    """The test of one refusal. Until its trial is known to be accepted or refused, no other request is sent."""

    ends_at: float
    """The end of Retry-After: a request that is sent later is no trial."""
    known_at: float
    """Refusals of requests that were sent before are of the same burst."""
    accepted_at: float | None = None
    """When the trial in flight is accepted, unless it is refused before."""
    refused: int = 0
    """Number of refused trials."""


class ChanceGate:
    """The gate of one limiter. Pure: every method takes `now` in loop seconds."""

    def __init__(self) -> None:
        self.is_new = True
        """Whether no request has been refused yet: the gate is open, and needs to know of no request."""
        self._gate = ThrottleGate()
        self._chance = RefusalChance()
        self._delay = RefusalDelay()
        self._test: ChanceTest | None = None
        self._shut_at = 0.0
        """When it was shut, or extended, last."""
        self._sent_at = -math.inf
        self._accepted: deque[float] = deque()
        """When the requests of the last second were sent, without the refused ones; empty where chance is not suspected."""

    @property
    def sends_others(self) -> bool:
        """Whether the last refusal may say nothing of the next request."""
        return self._chance.holds or self._test is not None

    @property
    def shut_until(self) -> float:
        """The time until which a refusal keeps it shut."""
        return 0.0 if self._test is not None else self._gate.opens_at

    def opens_at(self, now: float) -> float:
        """Return when the next request may be sent; `now` or earlier if at once."""
        test = self._test
        if test is not None and test.accepted_at is not None:
            if now < test.accepted_at:
                return test.accepted_at
            self._accept()
        pace = self._chance.pace if self._chance.holds else None
        return max(self._gate.opens_at, self._sent_at + 1 / pace if pace else 0.0)

    def _accept(self) -> None:
        self._test = None
        self._chance.tested(accepted=True)

    def send(self, now: float) -> Sent:
        """Note that a request is sent: while a refusal is tested, as the trial."""
        self._sent_at = now
        test = self._test
        if test is not None:
            if now < test.ends_at:
                test.accepted_at = now + self._delay.patience_s
            else:
                self._test = None
        if not self._chance.is_suspected:
            return now, None
        while self._accepted and self._accepted[0] <= now - LOAD_S:
            self._accepted.popleft()
        self._accepted.append(now)
        return now, float(len(self._accepted))

    def settle(self, sent: Sent, settled: Settled, now: float) -> None:
        """Learn from the end of a request."""
        if settled.how != "throttled":
            if settled.how == "succeeded" and self._chance.is_suspected:
                self._chance.note(*sent, now, refused=False)
            self._gate.settle(settled, now)
            return
        self.is_new = False
        self._delay.learn(now - sent[0])
        if self._chance.is_suspected:
            self._note_refusal(sent, now)
        retry_after_s = settled.hint.retry_after_s if settled.hint else None
        if self._test is not None:
            self._refuse_in_test(self._test, sent, settled, now)
        elif self._chance.holds and retry_after_s:
            return
        elif retry_after_s and self._is_worth_a_test(sent, retry_after_s, now):
            self._test = ChanceTest(now + retry_after_s, now)
        else:
            self._shut(settled, now)

    def _note_refusal(self, sent: Sent, now: float) -> None:
        if sent[0] in self._accepted:
            self._accepted.remove(sent[0])
        self._chance.note(*sent, now, refused=True)

    def _is_worth_a_test(self, sent: Sent, retry_after_s: float, now: float) -> bool:
        if now < self._gate.opens_at or sent[0] < self._shut_at or retry_after_s < SHORTEST_WAIT_S:
            return False
        return self._chance.may_be_tested()

    def _refuse_in_test(self, test: ChanceTest, sent: Sent, settled: Settled, now: float) -> None:
        """Note the refusal of the trial, or of another request of the burst. If all trials were refused, the gate shuts."""
        retry_after_s = settled.hint.retry_after_s if settled.hint else None
        test.ends_at = max(test.ends_at, now + (retry_after_s or 0.0))
        if sent[0] < test.known_at or test.accepted_at is None:
            return
        test.refused += 1
        test.known_at, test.accepted_at = now, None
        if test.refused >= CHANCE_TRIALS:
            self._test = None
            self._chance.tested(accepted=False)
            self._shut(settled, now)
            self._gate.extend(test.ends_at)

    def _shut(self, settled: Settled, now: float) -> None:
        self._shut_at = now
        self._gate.settle(settled, now)
