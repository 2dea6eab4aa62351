"""A counting semaphore that is first come, first served, that can be taken without a coroutine, and that may be overdrawn."""

from __future__ import annotations

import asyncio
from collections import deque


class FairSemaphore:
    """A number of permits. Who takes one without waiting for it leaves a debt that the next release pays."""

    __slots__ = ("_waiting", "left")

    def __init__(self, permits: int) -> None:
        self.left = permits
        """Permits that are free; negative while it is overdrawn, 0 while someone waits."""
        self._waiting: deque[asyncio.Future[None]] = deque()

    def locked(self) -> bool:
        """Return whether a caller would have to wait."""
        return self.left <= 0

    def take(self, *, overdraws: bool = False) -> bool:
        """Take a permit at once and return True; return False if none is free, unless the caller `overdraws`."""
        if self.left <= 0 and not overdraws:
            return False
        self.left -= 1
        return True

    async def acquire(self) -> None:
        """Wait for a permit and take it."""
        if self.left > 0:
            self.left -= 1
            return
        granted = asyncio.get_running_loop().create_future()
        self._waiting.append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                self._waiting.remove(granted)
            else:  # it was granted just before the cancellation
                self.release()
            raise

    def release(self) -> None:
        """Return a permit: to the debt, to the caller that waits longest, or to the free ones."""
        if self.left == 0:
            while self._waiting:
                granted = self._waiting.popleft()
                if not granted.done():
                    granted.set_result(None)
                    return
        self.left += 1
