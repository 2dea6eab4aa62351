"""How a run is told to stop: first drain, with a bounded grace, then cancel. Both leave a run that can be resumed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

GRACE_S = 30.0


class Shutdown:
    """`request` once to drain, again to cancel."""

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self.draining = asyncio.Event()
        self.reason = ""
        self._grace_s = grace_s
        self._cancel_at: float | None = None
        self._limits: list[asyncio.Timeout] = []

    def request(self, reason: str) -> None:
        """The first call drains, later ones cancel what is in flight."""
        if self.draining.is_set():
            self._bound(0.0)
            return
        self.reason = reason
        self.draining.set()
        self._bound(self._grace_s)

    @asynccontextmanager
    async def bounded(self) -> AsyncIterator[None]:
        """Cancel what runs inside when the grace is over; returns then as if it had ended."""
        limit = asyncio.timeout_at(self._cancel_at)
        try:
            async with limit:
                self._limits.append(limit)
                try:
                    yield
                finally:
                    self._limits.remove(limit)
        except TimeoutError:
            if not limit.expired():
                raise

    async def wait(self, delay_s: float) -> None:
        """Sleep, but no longer than until draining starts."""
        if delay_s <= 0 or self.draining.is_set():
            return
        try:
            async with asyncio.timeout(delay_s):
                await self.draining.wait()
        except TimeoutError:
            return

    def _bound(self, grace_s: float) -> None:
        self._cancel_at = asyncio.get_running_loop().time() + grace_s
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(self._cancel_at)
