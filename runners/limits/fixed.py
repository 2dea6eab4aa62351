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
    """A semaphore and aiolimiter. The bucket holds one send, so there is never a burst.

    Only the head of the line waits for the gate and for aiolimiter: neither keeps the order of arrival (equal timers fire in any
    order; whom aiolimiter wakes and finds overtaken goes to its end). A lock does.
    """

    def __init__(self, *, workers: int, qps: float | None) -> None:
        self._workers = workers
        self._slots = asyncio.Semaphore(workers)
        self._pace = AsyncLimiter(1, 1 / qps) if qps else None
        self._gate = ThrottleGate()
        self._line = asyncio.Lock()
        self._woken = asyncio.Event()
        self._in_flight = 0

    async def acquire(self, cost: Cost, wanted: Callable[[], bool]) -> int | None:  # noqa: ARG002 - a fixed rate counts requests
        await self._slots.acquire()
        try:
            async with self._line:
                if await self._may_send(wanted):
                    self._in_flight += 1
                    return 0
        except BaseException:
            self._slots.release()
            raise
        self._slots.release()
        return None

    async def _may_send(self, wanted: Callable[[], bool]) -> bool:
        """Wait for gate and pace; False once it is not wanted any more."""
        while wanted():
            if self._shut():
                await self._wait_for_gate()
            elif self._pace is None:
                return True
            else:
                await self._pace.acquire()
                if wanted() and not self._shut():
                    return True
        return False

    def settle(self, ticket: int, settled: Settled) -> None:  # noqa: ARG002 - all tickets are alike
        self._in_flight -= 1
        self._gate.settle(settled, asyncio.get_running_loop().time())
        self._slots.release()

    def wake(self) -> None:
        self._woken.set()
        self._woken = asyncio.Event()

    def opens_at(self) -> float:
        return self._gate.opens_at

    def snapshot(self) -> Mapping[str, JSON]:
        return {"mode": "fixed", "in_flight": self._in_flight, "cap": self._workers}

    def _shut(self) -> bool:
        return self._gate.opens_at > asyncio.get_running_loop().time()

    async def _wait_for_gate(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._gate.opens_at):
                await self._woken.wait()
