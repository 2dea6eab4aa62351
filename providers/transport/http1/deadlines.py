"""One timer for the deadlines of all connections. Setting a deadline is an assignment; the timer looks at them when the earliest is due."""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

_STEP_S = 0.01
"""Shortest time between two sweeps, so that many near deadlines cost one sweep."""


class Expiring(Protocol):
    """Something that ends at a time of the loop, which may change until then."""

    @property
    def expires_at(self) -> float:
        """When it ends."""
        ...

    def expire(self) -> None:
        """End it: its time has come."""
        ...


class DeadlineSweep:
    """Expires its items. An item whose deadline comes closer must be announced with `notice`; one that moves away need not."""

    __slots__ = ("_items", "_loop", "_timer", "next_at")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._items: set[Expiring] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.next_at = math.inf
        """When the next sweep takes place."""

    def add(self, item: Expiring) -> None:
        """Watch an item until it is removed."""
        self._items.add(item)

    def remove(self, item: Expiring) -> None:
        """Forget an item."""
        self._items.discard(item)
        if not self._items:
            self._cancel()

    def notice(self, expires_at: float) -> None:
        """Sweep at this time, unless a sweep comes earlier."""
        if expires_at < self.next_at:
            self._cancel()
            self.next_at = expires_at
            self._timer = self._loop.call_at(expires_at, self._sweep)

    def _sweep(self) -> None:
        self._timer, self.next_at = None, math.inf
        now = self._loop.time()
        for item in [item for item in self._items if item.expires_at <= now]:
            item.expire()
        if self._items:
            self.notice(max(min(item.expires_at for item in self._items), now + _STEP_S))

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self.next_at = None, math.inf
