"""The fixed limiter: at most `workers` requests in flight, one send every 1/qps seconds, and the throttle gate before both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from aiolimiter import AsyncLimiter

from providers.messages import JSON

from .fifo_queue import LimiterQueue, QueueWaiter
from .permit import Cost, Settled
from .throttle_gate import ThrottleGate


class FixedLimiter:
    """A limiter with a fixed number of slots and a fixed rate. The bucket of aiolimiter holds one send, so there is never a burst.

    Only the head of the queue waits for a slot, for the gate and for aiolimiter. aiolimiter alone would not keep the order: a waiter that
    it wakes and cannot serve goes to the end. A caller that waits in aiolimiter is no longer overtaken.
    """

    def __init__(self, *, workers: int, qps: float | None) -> None:
        self._workers = workers
        self._pace = AsyncLimiter(1, 1 / qps) if qps else None
        self._gate = ThrottleGate()
        self._queue = LimiterQueue()
        self._is_pacing = False
        self._in_flight = 0

    async def acquire(self, cost: Cost, wanted: Callable[[], bool], *, ahead: bool = False) -> int | None:  # noqa: ARG002 - a fixed rate counts requests
        """Wait for a ticket to send; return None once `wanted()` is false."""
        caller = QueueWaiter(wanted)
        self._queue.join(caller, ahead=ahead)
        try:
            while wanted():
                if self._queue.head is not caller:
                    await caller.wait(None)
                    continue
                if self._is_blocked():
                    await caller.wait(self._gate.opens_at if self._gate_is_shut() else None)
                    continue
                if self._pace is not None:
                    await self._keep_pace(self._pace)
                    if not wanted() or self._is_blocked():
                        continue
                self._in_flight += 1
                return 0
        finally:
            self._queue.leave(caller)
            self._queue.call_head()
        return None

    async def _keep_pace(self, pace: AsyncLimiter) -> None:
        self._is_pacing = True
        try:
            await pace.acquire()
        finally:
            self._is_pacing = False
            self._queue.call_head()

    def try_acquire(self, cost: Cost) -> int | None:  # noqa: ARG002 - a fixed rate counts requests
        """Return a ticket if a request may be sent at once; always None where a rate is set."""
        if self._pace is not None or self._queue or self._is_blocked():
            return None
        self._in_flight += 1
        return 0

    def settle(self, ticket: int, settled: Settled) -> None:  # noqa: ARG002 - all tickets are alike
        """Return the ticket and learn from the end of its request."""
        self._in_flight -= 1
        self._gate.settle(settled, asyncio.get_running_loop().time())
        self._queue.call_head()

    def wake(self) -> None:
        """Let the waiting callers check `wanted` again."""
        self._queue.call_all()

    def opens_at(self) -> float:
        """Return the loop time until which a refusal keeps the limiter shut."""
        return self._gate.opens_at

    def snapshot(self) -> Mapping[str, JSON]:
        """Return the current state, for the decision log."""
        return {"mode": "fixed", "in_flight": self._in_flight, "cap": self._workers}

    def export(self) -> Mapping[str, JSON]:
        """Return nothing: a fixed limiter learns nothing."""
        return {}

    def _is_blocked(self) -> bool:
        return self._is_pacing or self._in_flight >= self._workers or self._gate_is_shut()

    def _gate_is_shut(self) -> bool:
        return self._gate.opens_at > asyncio.get_running_loop().time()
