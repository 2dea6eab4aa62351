"""The shutdown of a run: first it drains for a limited grace period, then it is cancelled. In both cases it can be resumed.

Only the user's requests escalate from draining to cancelling; the run's own reasons to stop do not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

GRACE_S = 20.0
"""Kubernetes and Slurm kill 30 s after their SIGTERM: the remaining 10 s are for the last records and parts."""


class Shutdown:
    """The shutdown of one run. The first `request` drains, the second cancels."""

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self.draining = asyncio.Event()
        self.reason = ""
        self._grace_s = grace_s
        self._cancel_at: float | None = None
        self._limits: dict[asyncio.Timeout, bool] = {}
        """The open `bounded` blocks, and whether each has the grace period."""
        self._listeners: list[Callable[[], None]] = []

    def request(self, reason: str) -> None:
        """Drain at the first call; cancel the requests in flight at a later one."""
        if self.draining.is_set():
            self._bound(0.0)
        else:
            self.drain(reason)

    def drain(self, reason: str) -> None:
        """Open no more samples and give those in flight the grace period to end. The first reason is kept."""
        if self.draining.is_set():
            return
        self.reason = reason
        self.draining.set()
        self._bound(self._grace_s)
        for listener in self._listeners:
            listener()

    @contextmanager
    def heard_by(self, listener: Callable[[], None]) -> Iterator[None]:
        """Call `listener` when draining starts inside the block, or at once if it has started before."""
        self._listeners.append(listener)
        try:
            if self.draining.is_set():
                listener()
            yield
        finally:
            self._listeners.remove(listener)

    @asynccontextmanager
    async def bounded(self, *, has_grace: bool = True) -> AsyncIterator[None]:
        """Cancel the block when the grace period is over, or at once where it has none; then continue after the block."""
        limit = asyncio.timeout_at(self._cancel_at if has_grace or self._cancel_at is None else 0.0)
        try:
            async with limit:
                self._limits[limit] = has_grace
                try:
                    yield
                finally:
                    del self._limits[limit]
        except TimeoutError:
            if not limit.expired():
                raise

    async def pause(self, delay_s: float) -> None:
        """Sleep. Raise CancelledError once draining starts: a sample that waits for a retry stays pending."""
        await self.wait(delay_s)
        if self.draining.is_set():
            raise asyncio.CancelledError

    async def wait(self, delay_s: float) -> None:
        """Sleep until `delay_s` has passed or draining starts."""
        if delay_s <= 0 or self.draining.is_set():
            return
        try:
            async with asyncio.timeout(delay_s):
                await self.draining.wait()
        except TimeoutError:
            return

    def _bound(self, grace_s: float) -> None:
        now = asyncio.get_running_loop().time()
        self._cancel_at = now + grace_s
        for limit, has_grace in self._limits.items():
            if not limit.expired():
                limit.reschedule(self._cancel_at if has_grace else now)
