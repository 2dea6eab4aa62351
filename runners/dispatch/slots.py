"""The worker slots of a pool. A sample holds one slot and releases it while it waits, so that the pool can open another sample."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Protocol

PARKED_PER_WORKER = 4
"""Samples per worker that may wait without a slot: bounds the memory when every request fails."""


LOOKAHEAD = 16
"""Samples of a pool that may be open and not yet sent: enough that the limiter never waits for a sample, few enough that they can be
moved to another instance when it blocks."""


class SlotLease(Protocol):
    """The worker slot of one sample, as its client uses it."""

    was_sent: bool
    """Whether the sample's first request was sent."""

    def sent(self) -> None:
        """Note that the sample's first request is sent: the pool may open another sample."""
        ...

    def release_while_waiting(self) -> AbstractAsyncContextManager[None]:
        """Release the slot within the block, in which the sample waits for a permit; only if the sample was sent before."""
        ...

    async def park(self, delay_s: float) -> None:
        """Wait `delay_s` without the slot, then acquire one again."""
        ...

    async def begin_request(self) -> None:
        """Hold the slot until `end_request`, even if other calls of the sample wait: a request has its permit."""
        ...

    def end_request(self) -> None:
        """Note that the request has ended; the slot is released if other calls of the sample wait."""
        ...


class WorkerSlots:
    """The worker slots of one pool."""

    def __init__(self, workers: int, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.pause = pause
        """Waits before a retry: `asyncio.sleep`, or a wait that a shutdown ends."""
        self.free = asyncio.Semaphore(workers)
        self.unsent = asyncio.Semaphore(LOOKAHEAD)
        self.parking = asyncio.Semaphore(PARKED_PER_WORKER * workers)
        self._overdrawn = 0

    async def take(self) -> WorkerSlot:
        """Wait until a slot is free and one more sample may be open without being sent; return the slot."""
        await self.unsent.acquire()
        await self.free.acquire()
        return WorkerSlot(self)

    async def overdraw(self) -> None:
        """Take a slot without waiting. If none is free, the next slot that is given back makes up for it."""
        if self.free.locked():
            self._overdrawn += 1
        else:
            await self.free.acquire()

    def give_back(self) -> None:
        """Release one slot."""
        if self._overdrawn:
            self._overdrawn -= 1
        else:
            self.free.release()


class WorkerSlot:
    """The worker slot of one sample, held or released. However the sample ends, a held slot is given back exactly once.

    The sample's calls share it. It is given back when one of them waits and none has a request in flight, and taken again for the first
    call that continues.
    """

    __slots__ = ("_in_flight", "_is_held", "_is_over", "_retaking", "_slots", "_taking", "_waiting", "was_sent")

    def __init__(self, slots: WorkerSlots) -> None:
        self.was_sent = False
        self._slots = slots
        self._is_held = True
        self._is_over = False
        self._in_flight = 0
        self._waiting = 0
        """Calls that need no slot now; each of them holds one permit of the `parking` semaphore."""
        self._retaking = asyncio.Lock()
        self._taking: asyncio.Task[None] | None = None

    def sent(self) -> None:
        """Note that the sample's first request is sent: the pool may open another sample."""
        if not self.was_sent:
            self.was_sent = True
            self._slots.unsent.release()

    def end(self) -> None:
        """Release everything: the sample has ended, sent or not."""
        self._is_over = True
        self.sent()
        self.give_back()

    def give_back(self) -> None:
        """Release the slot if it is held: a sample that is cancelled while parked has none."""
        if self._is_held:
            self._is_held = False
            self._slots.give_back()

    async def begin_request(self) -> None:
        """Hold the slot until `end_request`, even if other calls of the sample wait."""
        self._in_flight += 1
        await self._take_at_once()

    def end_request(self) -> None:
        """Note that the request has ended; release the slot if other calls of the sample wait."""
        self._in_flight -= 1
        self._give_back_if_unused()

    @asynccontextmanager
    async def release_while_waiting(self) -> AsyncIterator[None]:
        """Release the slot within the block. After it the slot is taken without waiting, even if none is free.

        That is safe: the limiter bounds the requests in flight, and the pool opens no sample until the overdrawn slot is given back.
        A sample that was never sent keeps its slot, which bounds the open samples.
        """
        if not self.was_sent or self._slots.parking.locked():
            yield
            return
        async with self._slots.parking:
            try:
                with self._wait():
                    yield
            finally:
                await self._take_at_once()

    async def park(self, delay_s: float) -> None:
        """Wait `delay_s` without the slot, or with it when too many samples are parked. A cancelled wait takes no slot again."""
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

    async def _take_at_once(self) -> None:
        """Take the slot without waiting for it; the sample's calls that wait for a slot share this one."""
        if self._is_held or self._is_over:
            return
        self._is_held = True
        if self._taking is not None:
            self._taking.cancel()
        await self._slots.overdraw()

    async def _take_again(self) -> None:
        async with self._retaking:  # only one call of a sample waits for the slot, which they then share
            while not self._is_held:
                self._taking = asyncio.create_task(self._take(), name="slot")
                try:
                    await asyncio.wait([self._taking])
                finally:
                    self._taking.cancel()
                    self._taking = None

    async def _take(self) -> None:
        await self._slots.free.acquire()
        self._is_held = True
