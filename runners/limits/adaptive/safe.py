"""The simplest limiter that is safe without knowing a limit: additive rise, multiplicative fall, on concurrency."""

from __future__ import annotations

from collections.abc import Mapping

from providers.messages import JSON

from ..permit import Cost, Go, Settled, WaitForEvent, WaitUntil
from ..throttle_gate import ThrottleGate

FIRST_CAP = 8.0
FALL = 0.7


class SafeState:
    """Doubles the cap per clean round until the first refusal, then rises by one per round and falls by 30 % per refused burst.

    The cap rises only while it is used: an idle client proves nothing. `most` is the worker count; None lifts it.
    """

    def __init__(self, *, most: int | None) -> None:
        self._most = float(most) if most else float("inf")
        self._cap = min(FIRST_CAP, self._most)
        self._in_flight = 0
        self._starting = True
        self._gate = ThrottleGate()

    def acquire(self, cost: Cost, now: float) -> Go | WaitUntil | WaitForEvent:  # noqa: ARG002 - counts requests only
        if now < self._gate.opens_at:
            return WaitUntil(self._gate.opens_at)
        if self._in_flight >= int(self._cap):
            return WaitForEvent()
        self._in_flight += 1
        return Go(0)

    def settle(self, ticket: int, settled: Settled, now: float) -> None:  # noqa: ARG002 - all tickets are alike
        was_full = self._in_flight >= int(self._cap)
        was_open = now >= self._gate.opens_at
        self._in_flight -= 1
        self._gate.settle(settled, now)
        if settled.how == "succeeded" and was_full:
            self._cap = min(self._cap + (1.0 if self._starting else 1.0 / self._cap), self._most)
        elif settled.how == "throttled" and was_open:
            self._starting = False
            self._cap = max(1.0, FALL * self._cap)

    def snapshot(self, now: float) -> Mapping[str, JSON]:  # noqa: ARG002 - nothing here ages
        return {
            "mode": "adaptive",
            "in_flight": self._in_flight,
            "cap": int(self._cap),
            "gate_until": self._gate.opens_at,
        }

    def export(self) -> Mapping[str, JSON]:
        return {"concurrency": int(self._cap)}
