"""A sample's place among its instance's workers: given back while the sample waits, so that another is opened in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
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

    def release_while_waiting(self) -> AbstractAsyncContextManager[None]:
        """Within, a sample that was sent before waits for leave to send without the place."""
        ...

    async def park(self, delay_s: float) -> None:
        """Wait `delay_s` without the place, then take one again."""
        ...

    async def begin_request(self) -> None:
        """A request of the sample has leave to send: until `end_request` the place is in use, whatever its other calls wait for."""
        ...

    def end_request(self) -> None: ...


class WorkerSlots:
    """The places of one pool."""

    def __init__(self, workers: int, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.pause = pause
        """How a sample waits until it is tried again."""
        self.free = asyncio.Semaphore(workers)
        self.unsent = asyncio.Semaphore(LOOKAHEAD)
        self.parking = asyncio.Semaphore(PARKED_PER_WORKER * workers)
        self._overdrawn = 0

    async def take(self) -> WorkerSlot:
        await self.unsent.acquire()
        await self.free.acquire()
        return WorkerSlot(self)

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


class WorkerSlot:
    """One sample's place, or its memory of one: it gives back what it holds, once, however the sample ends.

    A sample's calls share it: it is given back when one of them waits and none has a request in flight, and taken again for the first
    that goes on.
    """

    __slots__ = ("_in_flight", "_is_held", "_is_over", "_retaking", "_slots", "_taking", "_waiting", "was_sent")

    def __init__(self, slots: WorkerSlots) -> None:
        self.was_sent = False
        self._slots = slots
        self._is_held = True
        self._is_over = False
        self._in_flight = 0
        self._waiting = 0
        """Calls that need no place now; each of them holds one of the parking's."""
        self._retaking = asyncio.Lock()
        self._taking: asyncio.Task[None] | None = None

    def sent(self) -> None:
        if not self.was_sent:
            self.was_sent = True
            self._slots.unsent.release()

    def end(self) -> None:
        """The sample is at its end, sent or not."""
        self._is_over = True
        self.sent()
        self.give_back()

    def give_back(self) -> None:
        """Harmless without the place: a sample that is cancelled while parked has none."""
        if self._is_held:
            self._is_held = False
            self._slots.give_back()

    async def begin_request(self) -> None:
        self._in_flight += 1
        await self._bring()

    def end_request(self) -> None:
        self._in_flight -= 1
        self._give_back_if_unused()

    @asynccontextmanager
    async def release_while_waiting(self) -> AsyncIterator[None]:
        """With leave to send nobody waits for a place: the limiter bounds what is in flight, and the pool opens nothing until it is paid.

        Samples that were never sent keep theirs: that bounds what is opened.
        """
        if not self.was_sent or self._slots.parking.locked():
            yield
            return
        async with self._slots.parking:
            try:
                with self._wait():
                    yield
            finally:
                await self._bring()

    async def park(self, delay_s: float) -> None:
        """Waits with the place kept when the parking is full. Cancelled, it takes no place again: the sample is at its end."""
        if self._slots.parking.locked():
            await self._slots.pause(delay_s)
            return
        async with self._slots.parking:
            with self._wait():
                await self._slots.pause(delay_s)
                await self._take_again()

    @contextmanager
    def _wait(self) -> Iterator[None]:
        self._waiting += 1
        self._give_back_if_unused()
        try:
            yield
        finally:
            self._waiting -= 1

    def _give_back_if_unused(self) -> None:
        if self._waiting and not self._in_flight:
            self.give_back()

    async def _bring(self) -> None:
        """Have the place without waiting for it; whoever of the sample's calls waits for it shares this one."""
        if self._is_held or self._is_over:
            return
        self._is_held = True
        if self._taking is not None:
            self._taking.cancel()
        await self._slots.overdraw()

    async def _take_again(self) -> None:
        async with self._retaking:  # of several calls of one sample only one waits for the place, and it is all theirs
            while not self._is_held:
                self._taking = asyncio.create_task(self._take(), name="place")
                try:
                    await asyncio.wait([self._taking])
                finally:
                    self._taking.cancel()
                    self._taking = None

    async def _take(self) -> None:
        await self._slots.free.acquire()
        self._is_held = True
