"""A sample's place among its instance's workers: given back while the sample waits, so that another is opened in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

PARKED_PER_WORKER = 4
"""Samples that may wait without a place, per worker: bounds memory when everything is failing."""


LOOKAHEAD = 16
"""Samples of a pool that may be open and not yet sent: enough that the limiter never waits for a sample, few enough that they can be
moved when it shuts."""


class SlotLease(Protocol):
    was_sent: bool
    """The sample's first request went out."""

    def sent(self) -> None:
        """The sample's first request is on its way: another may be opened behind it."""
        ...

    def aside(self) -> AbstractAsyncContextManager[None]:
        """Within, a sample that was sent before waits for leave to send without the place."""
        ...

    async def park(self, delay_s: float) -> None:
        """Wait `delay_s` without the place, then take one again."""
        ...


class Slots:
    """The places of one pool."""

    def __init__(self, workers: int, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.pause = pause
        """How a sample waits until it is tried again."""
        self.free = asyncio.Semaphore(workers)
        self.unsent = asyncio.Semaphore(LOOKAHEAD)
        self.parking = asyncio.Semaphore(PARKED_PER_WORKER * workers)
        self._overdrawn = 0

    async def take(self) -> Place:
        await self.unsent.acquire()
        await self.free.acquire()
        return Place(self)

    async def overdraw(self) -> None:
        """Take a place without waiting for one: where none is free, the next that is given back is this one's."""
        if self.free.locked():
            self._overdrawn += 1
        else:
            await self.free.acquire()

    def give_back(self) -> None:
        if self._overdrawn:
            self._overdrawn -= 1
        else:
            self.free.release()


class Place:
    """One sample's place, or its memory of one: it gives back what it holds, once, however the sample ends."""

    __slots__ = ("_is_held", "_retaking", "_slots", "was_sent")

    def __init__(self, slots: Slots) -> None:
        self.was_sent = False
        self._slots = slots
        self._is_held = True
        self._retaking = asyncio.Lock()

    def sent(self) -> None:
        if not self.was_sent:
            self.was_sent = True
            self._slots.unsent.release()

    def end(self) -> None:
        """The sample is at its end, sent or not."""
        self.sent()
        self.give_back()

    def give_back(self) -> None:
        """Harmless without the place: a sample that is cancelled while parked has none."""
        if self._is_held:
            self._is_held = False
            self._slots.give_back()

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[None]:
        """With leave to send nobody waits for a place: the limiter bounds what is in flight, and the pool opens nothing until it is paid.

        Samples that were never sent keep theirs: that bounds what is opened.
        """
        if not self.was_sent or self._slots.parking.locked():
            yield
            return
        async with self._slots.parking:
            self.give_back()
            try:
                yield
            finally:
                if not self._is_held and not self._retaking.locked():  # another call of the sample is about to take it
                    self._is_held = True
                    await self._slots.overdraw()

    async def park(self, delay_s: float) -> None:
        """Waits with the place kept when the parking is full. Cancelled, it takes no place again: the sample is at its end."""
        if self._slots.parking.locked():
            await self._slots.pause(delay_s)
            return
        async with self._slots.parking:
            self.give_back()
            await self._slots.pause(delay_s)
            await self._take_again()

    async def _take_again(self) -> None:
        async with self._retaking:  # of several calls of one sample only one waits for the place, and it is all theirs
            if not self._is_held:
                await self._slots.free.acquire()
                self._is_held = True
