"""The adaptive limiter: an async wrapper around a pure AdaptiveState. Callers wait in a FIFO queue, for a time or for an event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from providers.messages import JSON

from .fifo_queue import LimiterQueue, QueueWaiter
from .permit import AdaptiveState, Cost, Go, Settled, WaitUntil


class AdaptiveLimiter:
    """A limiter that asks an AdaptiveState. Only the head of the queue asks; it is woken when the answer may have changed."""

    def __init__(self, state: AdaptiveState) -> None:
        self._state = state
        self._queue = LimiterQueue()

    async def acquire(self, cost: Cost, wanted: Callable[[], bool], *, ahead: bool = False) -> int | None:
        """Wait for a ticket to send; return None once `wanted()` is false."""
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
        """Return a ticket if a request may be sent at once and no caller waits; None otherwise."""
        if self._queue:
            return None
        decision = self._state.acquire(cost, asyncio.get_running_loop().time())
        return decision.ticket if isinstance(decision, Go) else None

    # ------------------------------------------------------------------ one quota behind several limiters
    @property
    def experience(self) -> float:
        """Number of requests accepted so far."""
        return self._state.experience

    def accepted(self, after: float, until: float) -> Sequence[float]:
        """Return what was accepted after one time and until another, in each unit."""
        return self._state.accepted(after, until)

    def absorb(self, other: AdaptiveLimiter, now: float) -> None:
        """Limit the requests of `other` from now on, too. The caller must wake those that wait in `other`."""
        self._state.absorb(other._state, now)
        self._queue.call_head()

    def tilt(self, share: float, until: float, now: float) -> None:
        """Ask for `share` of the known limit until then."""
        self._state.tilt(share, until, now)

    def settle(self, ticket: int, settled: Settled) -> None:
        """Return the ticket and learn from the end of its request."""
        self._state.settle(ticket, settled, asyncio.get_running_loop().time())
        self._queue.call_head()

    def wake(self) -> None:
        """Let the waiting callers check `wanted` again."""
        self._queue.call_all()

    def opens_at(self) -> float:
        """Return the loop time until which a refusal or failures keep the limiter shut."""
        return self._state.opens_at(asyncio.get_running_loop().time())

    def snapshot(self) -> Mapping[str, JSON]:
        """Return the current state, for the decision log."""
        now = asyncio.get_running_loop().time()
        return {**self._state.snapshot(now), "time_under": self._state.time_under(now)}

    def export(self) -> Mapping[str, JSON]:
        """Return what was learned, for the start of the next run."""
        return self._state.export()
