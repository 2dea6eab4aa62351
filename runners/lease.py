"""A sample's place among its instance's workers: given back while the sample waits, so that another is opened in it."""

from __future__ import annotations

import asyncio
from typing import Protocol

PARKED_PER_WORKER = 4
"""Samples that may wait without a place, per worker: bounds memory when everything is failing."""


class SlotLease(Protocol):
    async def park(self, delay_s: float) -> None:
        """Wait `delay_s` without the place, then take one again."""
        ...


class Slots:
    """The places of one pool."""

    def __init__(self, workers: int) -> None:
        self._free = asyncio.Semaphore(workers)
        self._parking = asyncio.Semaphore(PARKED_PER_WORKER * workers)

    async def take(self) -> None:
        await self._free.acquire()

    def give_back(self) -> None:
        self._free.release()

    async def park(self, delay_s: float) -> None:
        """Waits with the place kept when the parking is full."""
        if self._parking.locked():
            await asyncio.sleep(delay_s)
            return
        async with self._parking:
            self._free.release()
            try:
                await asyncio.sleep(delay_s)
            finally:
                await self._free.acquire()
