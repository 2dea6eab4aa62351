"""A line of those who wait: in the order of arrival, but whoever goes ahead stands before all who do not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class FifoQueue(Generic[T]):
    def __init__(self) -> None:
        self._ahead: dict[T, None] = {}
        self._behind: dict[T, None] = {}

    def join(self, who: T, *, ahead: bool) -> None:
        (self._ahead if ahead else self._behind)[who] = None

    def leave(self, who: T) -> None:
        """Raises KeyError for who is not in it."""
        del (self._ahead if who in self._ahead else self._behind)[who]

    @property
    def head(self) -> T | None:
        return next(iter(self), None)

    def __iter__(self) -> Iterator[T]:
        yield from self._ahead
        yield from self._behind

    def __len__(self) -> int:
        return len(self._ahead) + len(self._behind)


class QueueWaiter:
    """One who waits in a limiter's line until it is called."""

    __slots__ = ("_called", "wanted")

    def __init__(self, wanted: Callable[[], bool]) -> None:
        self.wanted = wanted
        self._called = asyncio.Event()

    def call(self) -> None:
        self._called.set()

    async def wait(self, until: float | None) -> None:
        """Until the next call, or loop time `until`."""
        self._called.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._called.wait()


class LimiterQueue(FifoQueue[QueueWaiter]):
    """Of those who wait for one limiter: only the head has a say."""

    def call_head(self) -> None:
        if self.head is not None:
            self.head.call()

    def call_all(self) -> None:
        """The head, and behind it whoever does not want it any more."""
        for caller in self:
            if not caller.wanted():
                caller.call()
        self.call_head()
