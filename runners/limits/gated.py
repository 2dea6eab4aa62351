"""Adaptive mode: the async wrapper that turns a pure AdaptiveState into waiting, by timer or by event, in the order of arrival."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from providers.messages import JSON

from .permit import AdaptiveState, Cost, Go, Settled, WaitUntil


class AdaptiveLimiter:
    """Only the head of the line asks the state; a lock whose waiters are served in order is the line."""

    def __init__(self, state: AdaptiveState) -> None:
        self._state = state
        self._line = asyncio.Lock()
        self._changed = asyncio.Event()

    async def acquire(self, cost: Cost, wanted: Callable[[], bool]) -> int | None:
        loop = asyncio.get_running_loop()
        async with self._line:
            while wanted():
                decision = self._state.acquire(cost, loop.time())
                if isinstance(decision, Go):
                    return decision.ticket
                await self._wait(decision.at if isinstance(decision, WaitUntil) else None)
        return None

    def try_acquire(self, cost: Cost) -> int | None:
        if self._line.locked():
            return None
        decision = self._state.acquire(cost, asyncio.get_running_loop().time())
        return decision.ticket if isinstance(decision, Go) else None

    def settle(self, ticket: int, settled: Settled) -> None:
        self._state.settle(ticket, settled, asyncio.get_running_loop().time())
        self.wake()

    def wake(self) -> None:
        self._changed.set()

    def opens_at(self) -> float:
        return self._state.opens_at(asyncio.get_running_loop().time())

    def snapshot(self) -> Mapping[str, JSON]:
        now = asyncio.get_running_loop().time()
        return {**self._state.snapshot(now), "time_under": self._state.time_under(now)}

    def export(self) -> Mapping[str, JSON]:
        return self._state.export()

    async def _wait(self, until: float | None) -> None:
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._changed.wait()
