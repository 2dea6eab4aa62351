"""The worker slots of a pool. A sample holds one slot and releases it while it waits, so that the pool can open another sample."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from .fair_semaphore import FairSemaphore

PARKED_PER_WORKER = 4
"""Samples per worker that may wait without a slot: bounds the memory when every request fails."""


LOOKAHEAD = 16
"""Samples of a pool that may be open and not yet sent: enough that the limiter never waits for a sample, few enough that they can be
moved to another instance when it blocks."""


class WorkerSlots:
    """The worker slots of one pool."""

    def __init__(self, workers: int, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.pause = pause
        """Waits before a retry: `asyncio.sleep`, or a wait that a shutdown ends."""
        self.free = FairSemaphore(workers)
        self.unsent = FairSemaphore(LOOKAHEAD)
        self.parking = FairSemaphore(PARKED_PER_WORKER * workers)
        self._room = asyncio.Event()
        self._is_closed = False

    def try_take(self) -> WorkerSlot | None:
        """Return a slot if one is free and one more sample may be open without being sent; None otherwise."""
        if self.free.left <= 0 or not self.unsent.take():
            return None
        self.free.left -= 1
        return WorkerSlot(self)

    async def take(self) -> WorkerSlot:
        """Wait until a slot is free and one more sample may be open without being sent; return the slot."""
        await self.unsent.acquire()
        try:
            await self.free.acquire()
        except asyncio.CancelledError:
            self.unsent.release()
            raise
        return WorkerSlot(self)

    async def wait_for_room(self) -> bool:
        """Wait until there is room for a worker more and return True; return False once it is closed."""
        while not self._is_closed and not self._has_room():
            self._room.clear()
            await self._room.wait()
        return not self._is_closed

    def notify_room(self) -> None:
        """Wake `wait_for_room` if there is room."""
        if self.free.left > 0 and self.unsent.left > 0:
            self._room.set()

    def close(self) -> None:
        """Note that no more samples are opened."""
        self._is_closed = True
        self._room.set()

    def _has_room(self) -> bool:
        """Return whether a slot is free, and one more sample may be open without being sent: then no worker waits for either."""
        return self.free.left > 0 and self.unsent.left > 0


class WorkerSlot:
    """The worker slot of one sample, held or released. However the sample ends, a held slot is given back exactly once.

    The sample's calls share it. It is given back when one of them waits and none has a request in flight, and taken again for the first
    call that continues.
    """

    __slots__ = ("_in_flight", "_is_held", "_is_over", "_retaking", "_slots", "_taking", "_waiting", "was_sent")

    def __init__(self, slots: WorkerSlots) -> None:
        self.was_sent = False
        """Whether the sample's first request was sent."""
        self._slots = slots
        self._is_held = True
        self._is_over = False
        self._in_flight = 0
        self._waiting = 0
        """Calls that need no slot now; each of them holds one permit of the `parking` semaphore."""
        self._retaking: asyncio.Lock | None = None
        self._taking: asyncio.Task[None] | None = None

    def sent(self) -> None:
        """Note that the sample's first request is sent: the pool may open another sample."""
        if not self.was_sent:
            self.was_sent = True
            self._slots.unsent.release()
            self._slots.notify_room()

    def end(self) -> None:
        """Release everything: the sample has ended, sent or not. Its worker takes the next slot, so nobody is told of the room."""
        self._is_over = True
        if not self.was_sent:
            self.sent()
        if self._is_held:
            self._is_held = False
            self._slots.free.release()

    def give_back(self) -> None:
        """Release the slot if it is held: a sample that is cancelled while parked has none."""
        if self._is_held:
            self._is_held = False
            self._slots.free.release()
            self._slots.notify_room()

    def begin_request(self) -> None:
        """Hold the slot until `end_request`, even if other calls of the sample wait: a request has its permit."""
        self._in_flight += 1
        if not self._is_held:
            self._take_at_once()

    def end_request(self) -> None:
        """Note that the request has ended; release the slot if other calls of the sample wait."""
        self._in_flight -= 1
        if self._waiting:
            self._give_back_if_unused()

    @contextmanager
    def release_while_waiting(self) -> Iterator[None]:
        """Release the slot within the block. After it the slot is taken without waiting, even if none is free.

        That is safe: the limiter bounds the requests in flight, and the pool opens no sample until the overdrawn slot is given back.
        A sample that was never sent keeps its slot, which bounds the open samples.
        """
        if not self.was_sent or self._slots.parking.locked():
            yield
            return
        with self._parked():
            try:
                yield
            finally:
                self._take_at_once()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Lend the slot within the block, also that of a sample that was never sent: the pool opens others meanwhile.

        After it the slot is taken without waiting, as after `release_while_waiting`. The caller bounds how many samples wait so.
        """
        self.sent()
        self._waiting += 1
        self._give_back_if_unused()
        try:
            yield
        finally:
            self._waiting -= 1
            self._take_at_once()

    async def park(self, delay_s: float) -> None:
        """Wait `delay_s` without the slot, or with it when too many samples are parked. A cancelled wait takes no slot again."""
        if self._slots.parking.locked():
            await self._slots.pause(delay_s)
            return
        with self._parked():
            await self._slots.pause(delay_s)
            await self._take_again()

    @contextmanager
    def _parked(self) -> Iterator[None]:
        """Be without a slot within the block, unless another call of the sample has a request in flight."""
        self._slots.parking.take()
        self._waiting += 1
        self._give_back_if_unused()
        try:
            yield
        finally:
            self._waiting -= 1
            self._slots.parking.release()

    def _give_back_if_unused(self) -> None:
        if self._waiting and not self._in_flight:
            self.give_back()

    def _take_at_once(self) -> None:
        """Take the slot without waiting for it; the sample's calls that wait for a slot share this one."""
        if self._is_held or self._is_over:
            return
        self._is_held = True
        if self._taking is not None:
            self._taking.cancel()
        self._slots.free.take(overdraws=True)

    async def _take_again(self) -> None:
        if self._retaking is None:
            self._retaking = asyncio.Lock()
        async with self._retaking:  # only one call of a sample waits for the slot, which they then share
            while not self._is_held:
                self._taking = asyncio.create_task(self._take(), name="slot")
                try:
                    await asyncio.wait([self._taking])
                finally:
                    self._taking.cancel()
                    self._taking = None

    async def _take(self) -> None:
        try:
            await self._slots.free.acquire()
        except asyncio.CancelledError:
            self._slots.notify_room()  # it may have been granted before the cancellation
            raise
        self._is_held = True
