"""A sample's place among its instance's workers: given back while the sample waits, so that another is opened in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

PARKED_PER_WORKER = 4
"""Samples that may wait without a place, per worker: bounds memory when everything is failing."""


LOOKAHEAD = 16
"""Samples of a pool that may be open and not yet sent: enough that the limiter never waits for a sample, few enough that they can be
moved when it shuts."""


class SlotLease(Protocol):
    def sent(self) -> None:
        """The sample's first request is on its way: another may be opened behind it."""
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

    async def take(self) -> Place:
        await self.unsent.acquire()
        await self.free.acquire()
        return Place(self)


class Place:
    """One sample's place, or its memory of one: it gives back what it holds, once, however the sample ends."""

    __slots__ = ("_is_held", "_is_sent", "_retaking", "_slots")

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._is_held = True
        self._is_sent = False
        self._retaking = asyncio.Lock()

    def sent(self) -> None:
        if not self._is_sent:
            self._is_sent = True
            self._slots.unsent.release()

    def end(self) -> None:
        """The sample is at its end, sent or not."""
        self.sent()
        self.give_back()

    def give_back(self) -> None:
        """Harmless without the place: a sample that is cancelled while parked has none."""
        if self._is_held:
            self._is_held = False
            self._slots.free.release()

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
