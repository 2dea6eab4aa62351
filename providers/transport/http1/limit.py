"""A limit on the connections in use, which all origins of a transport share. Those who wait are served in their order."""

from __future__ import annotations

import asyncio
from collections import deque


class ConnectionLimit:
    """Counts the connections in use; a limit of 0 means none."""

    __slots__ = ("_limit", "_used", "_waiting")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Take a place where there is one."""
        if self._limit and self._used >= self._limit:
            return False
        self._used += 1
        return True

    def release(self) -> None:
        """Give a place back, or on to the first who waits."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._used -= 1

    async def wait(self) -> None:
        """Wait for a place and take it."""
        if self.take():
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the place was given at the same moment
                self.release()
            raise
