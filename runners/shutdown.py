"""How a run is told to stop: first drain, with a bounded grace, then cancel. Both leave a run that can be resumed.

A person's requests escalate; the run's own reasons to stop do not, in whatever order they come.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

GRACE_S = 20.0
"""Kubernetes and Slurm kill 30 s after their SIGTERM: what is left of it is for the last records and parts."""


class Shutdown:
    """`request` once to drain, again to cancel."""

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self.draining = asyncio.Event()
        self.reason = ""
        self._grace_s = grace_s
        self._cancel_at: float | None = None
        self._limits: dict[asyncio.Timeout, bool] = {}
        """What is cancelled, and whether it has the grace."""
        self._listeners: list[Callable[[], None]] = []

    def request(self, reason: str) -> None:
        """The first call drains, later ones cancel what is in flight."""
        if self.draining.is_set():
            self._bound(0.0)
        else:
            self.drain(reason)

    def drain(self, reason: str) -> None:
        """Open nothing more; what is in flight has the grace to end. The first reason stands."""
        if self.draining.is_set():
            return
        self.reason = reason
        self.draining.set()
        self._bound(self._grace_s)
        for tell in self._listeners:
            tell()

    @contextmanager
    def heard_by(self, tell: Callable[[], None]) -> Iterator[None]:
        """Call `tell` when draining starts inside the block, or has started before it."""
        self._listeners.append(tell)
        try:
            if self.draining.is_set():
                tell()
            yield
        finally:
            self._listeners.remove(tell)

    @asynccontextmanager
    async def bounded(self, *, has_grace: bool = True) -> AsyncIterator[None]:
        """Cancel what runs inside when the grace is over, or at once where it has none; returns then as if it had ended."""
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
        """Sleep; once draining starts, cancel the task that does: a sample that would only be tried again stays pending."""
        await self.wait(delay_s)
        if self.draining.is_set():
            raise asyncio.CancelledError

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
        now = asyncio.get_running_loop().time()
        self._cancel_at = now + grace_s
        for limit, has_grace in self._limits.items():
            if not limit.expired():
                limit.reschedule(self._cancel_at if has_grace else now)
