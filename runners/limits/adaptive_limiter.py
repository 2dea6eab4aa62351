"""Adaptive mode: the async wrapper that turns a pure AdaptiveState into waiting, by timer or by event, in the order of arrival."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from providers.messages import JSON

from .fifo_queue import LimiterQueue, QueueWaiter
from .permit import AdaptiveState, Cost, Go, Settled, WaitUntil


class AdaptiveLimiter:
    """Only the head of the line asks the state. Each who waits is called when it is to look again."""

    def __init__(self, state: AdaptiveState) -> None:
        self._state = state
        self._queue = LimiterQueue()

    async def acquire(self, cost: Cost, wanted: Callable[[], bool], *, ahead: bool = False) -> int | None:
        loop = asyncio.get_running_loop()
        caller = QueueWaiter(wanted)
        self._queue.join(caller, ahead=ahead)
        try:
            while wanted():
                until = None
                if self._queue.head is caller:
                    decision = self._state.acquire(cost, loop.time())
                    if isinstance(decision, Go):
                        return decision.ticket
                    until = decision.at if isinstance(decision, WaitUntil) else None
                await caller.wait(until)
        finally:
            self._queue.leave(caller)
            self._queue.call_head()
        return None

    def try_acquire(self, cost: Cost) -> int | None:
        if self._queue:
            return None
        decision = self._state.acquire(cost, asyncio.get_running_loop().time())
        return decision.ticket if isinstance(decision, Go) else None

    # ------------------------------------------------------------------ one quota behind several limiters
    @property
    def experience(self) -> float:
        return self._state.experience

    def accepted(self, after: float, until: float) -> Sequence[float]:
        return self._state.accepted(after, until)

    def absorb(self, other: AdaptiveLimiter, now: float) -> None:
        """Stand for `other` from now on; who waits there has to be called to come over."""
        self._state.absorb(other._state, now)
        self._queue.call_head()

    def tilt(self, share: float, until: float, now: float) -> None:
        self._state.tilt(share, until, now)

    def settle(self, ticket: int, settled: Settled) -> None:
        self._state.settle(ticket, settled, asyncio.get_running_loop().time())
        self._queue.call_head()

    def wake(self) -> None:
        self._queue.call_all()

    def opens_at(self) -> float:
        return self._state.opens_at(asyncio.get_running_loop().time())

    def snapshot(self) -> Mapping[str, JSON]:
        now = asyncio.get_running_loop().time()
        return {**self._state.snapshot(now), "time_under": self._state.time_under(now)}

    def export(self) -> Mapping[str, JSON]:
        return self._state.export()
