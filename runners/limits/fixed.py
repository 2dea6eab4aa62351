"""Fixed mode: at most `workers` in flight, one send every 1/qps seconds, and the throttle gate in front of both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from aiolimiter import AsyncLimiter

from providers.messages import JSON

from .permit import Cost, Settled
from .throttle_gate import ThrottleGate


class FixedLimiter:
    """A count of places and aiolimiter, whose bucket holds one send, so there is never a burst.

    Only the head of the line waits for a place, for the gate and for aiolimiter: none of them keeps the order of arrival (equal timers
    fire in any order; whom aiolimiter wakes and finds overtaken goes to its end). A lock does.
    """

    def __init__(self, *, workers: int, qps: float | None) -> None:
        self._workers = workers
        self._pace = AsyncLimiter(1, 1 / qps) if qps else None
        self._gate = ThrottleGate()
        self._line = asyncio.Lock()
        self._changed = asyncio.Event()
        self._in_flight = 0

    async def acquire(self, cost: Cost, wanted: Callable[[], bool]) -> int | None:  # noqa: ARG002 - a fixed rate counts requests
        async with self._line:
            while wanted():
                if self._is_blocked():
                    await self._wait()
                    continue
                if self._pace is not None:
                    await self._pace.acquire()
                    if not wanted() or self._is_blocked():
                        continue
                self._in_flight += 1
                return 0
        return None

    def try_acquire(self, cost: Cost) -> int | None:  # noqa: ARG002 - a fixed rate counts requests
        if self._pace is not None or self._line.locked() or self._is_blocked():
            return None
        self._in_flight += 1
        return 0

    def settle(self, ticket: int, settled: Settled) -> None:  # noqa: ARG002 - all tickets are alike
        self._in_flight -= 1
        self._gate.settle(settled, asyncio.get_running_loop().time())
        self.wake()

    def wake(self) -> None:
        self._changed.set()

    def opens_at(self) -> float:
        return self._gate.opens_at

    def snapshot(self) -> Mapping[str, JSON]:
        return {"mode": "fixed", "in_flight": self._in_flight, "cap": self._workers}

    def export(self) -> Mapping[str, JSON]:
        return {}

    def _is_blocked(self) -> bool:
        return self._in_flight >= self._workers or self._gate_is_shut()

    def _gate_is_shut(self) -> bool:
        return self._gate.opens_at > asyncio.get_running_loop().time()

    async def _wait(self) -> None:
        """For a place, for the gate, or for whoever wakes the line."""
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._gate.opens_at if self._gate_is_shut() else None):
                await self._changed.wait()
