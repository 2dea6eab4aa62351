"""A FIFO queue with two priorities: entries that join ahead are served before all others, each group in the order of arrival."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class FifoQueue(Generic[T]):
    """A queue whose entries join, wait to be the head, and leave from any position."""

    def __init__(self) -> None:
        self._ahead: dict[T, None] = {}
        self._behind: dict[T, None] = {}

    def join(self, entry: T, *, ahead: bool) -> None:
        """Append an entry; with `ahead` it goes before all entries that joined without."""
        (self._ahead if ahead else self._behind)[entry] = None

    def leave(self, entry: T) -> None:
        """Remove an entry. Raises KeyError if it is not in the queue."""
        del (self._ahead if entry in self._ahead else self._behind)[entry]

    @property
    def head(self) -> T | None:
        """The entry to serve next; None if the queue is empty."""
        return next(iter(self), None)

    def __iter__(self) -> Iterator[T]:
        yield from self._ahead
        yield from self._behind

    def __len__(self) -> int:
        return len(self._ahead) + len(self._behind)


class QueueWaiter:
    """A caller that waits in a limiter's queue until it is woken."""

    __slots__ = ("_called", "wanted")

    def __init__(self, wanted: Callable[[], bool]) -> None:
        self.wanted = wanted
        self._called = asyncio.Event()

    def call(self) -> None:
        """Wake it."""
        self._called.set()

    async def wait(self, until: float | None) -> None:
        """Wait until the next call, or until loop time `until`."""
        self._called.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._called.wait()


class LimiterQueue(FifoQueue[QueueWaiter]):
    """The callers that wait for one limiter; only the head may ask for a ticket."""

    def call_head(self) -> None:
        """Wake the head, if there is one."""
        if self.head is not None:
            self.head.call()

    def call_all(self) -> None:
        """Wake the head, and all callers that no longer want a ticket."""
        for caller in self:
            if not caller.wanted():
                caller.call()
        self.call_head()
