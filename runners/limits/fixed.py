"""Fixed mode: at most `workers` in flight, one send every 1/qps seconds, and the throttle gate in front of both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from aiolimiter import AsyncLimiter

from providers.messages import JSON

from .fifo_queue import LimiterQueue, QueueWaiter
from .permit import Cost, Settled
from .throttle_gate import ThrottleGate


class FixedLimiter:
    """A count of places and aiolimiter, whose bucket holds one send, so there is never a burst.

    Only the head of the line waits for a place, for the gate and for aiolimiter, which alone would not keep the order: whom it wakes and
    finds overtaken goes to its end. Who has come as far as aiolimiter is not overtaken any more.
    """

    def __init__(self, *, workers: int, qps: float | None) -> None:
        self._workers = workers
        self._pace = AsyncLimiter(1, 1 / qps) if qps else None
        self._gate = ThrottleGate()
        self._queue = LimiterQueue()
        self._is_pacing = False
        self._in_flight = 0

    async def acquire(self, cost: Cost, wanted: Callable[[], bool], *, ahead: bool = False) -> int | None:  # noqa: ARG002 - a fixed rate counts requests
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
        if self._pace is not None or self._queue or self._is_blocked():
            return None
        self._in_flight += 1
        return 0

    def settle(self, ticket: int, settled: Settled) -> None:  # noqa: ARG002 - all tickets are alike
        self._in_flight -= 1
        self._gate.settle(settled, asyncio.get_running_loop().time())
        self._queue.call_head()

    def wake(self) -> None:
        self._queue.call_all()

    def opens_at(self) -> float:
        return self._gate.opens_at

    def snapshot(self) -> Mapping[str, JSON]:
        return {"mode": "fixed", "in_flight": self._in_flight, "cap": self._workers}

    def export(self) -> Mapping[str, JSON]:
        return {}

    def _is_blocked(self) -> bool:
        return self._is_pacing or self._in_flight >= self._workers or self._gate_is_shut()

    def _gate_is_shut(self) -> bool:
        return self._gate.opens_at > asyncio.get_running_loop().time()
