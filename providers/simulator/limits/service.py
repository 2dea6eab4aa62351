"""Applies the latency model on the running loop: one timer per endpoint where answers share its speed, else one timer per request."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from typing import TYPE_CHECKING, Protocol

from .latency import Job, ProcessorSharing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..settings.provider import LatencySettings


class Work(Protocol):
    """The work on an answer in progress."""

    async def reach(self, index: int) -> int:
        """Wait until milestone `index` is passed; return the number of passed milestones."""
        ...

    def leave(self) -> None:
        """Stop the work; does nothing after the last milestone."""
        ...


class Service:
    """The service of one endpoint. Call `begin` at the start of each answer, and `Work.leave` at its end in every case."""

    def __init__(self, settings: LatencySettings) -> None:
        is_shared = settings.saturates_at is not None or settings.seats is not None
        self._shared = SharedService(ProcessorSharing(settings)) if is_shared else None

    def begin(self, milestones_s: Sequence[float]) -> Work:
        """Start work with milestones at `milestones_s` seconds of service at full speed, ascending."""
        if self._shared is not None:
            return self._shared.begin(milestones_s)
        return _Alone(milestones_s)

    def close(self) -> None:
        """Stop the timer."""
        if self._shared is not None:
            self._shared.close()


class _Alone:
    """Work at constant speed."""

    __slots__ = ("_loop", "_milestones_s", "_start")

    def __init__(self, milestones_s: Sequence[float]) -> None:
        self._milestones_s = milestones_s
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()

    async def reach(self, index: int) -> int:
        left_s = self._start + self._milestones_s[index] - self._loop.time()
        if left_s > 0:
            await asyncio.sleep(left_s)
        return max(index + 1, bisect_right(self._milestones_s, self._loop.time() - self._start))

    def leave(self) -> None:
        pass


class SharedService:
    """A `ProcessorSharing` server on the running loop, with one timer for its next event."""

    def __init__(self, law: ProcessorSharing) -> None:
        self._law = law
        self._waiters: dict[Job, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, milestones_s: Sequence[float]) -> Work:
        """Start work that shares the service with other work."""
        job = Job(milestones_s)
        self._wake(self._law.arrive(job, asyncio.get_running_loop().time()))
        return _Sharing(self, job)

    async def passed(self, job: Job) -> None:
        """Wait until the job passes a milestone."""
        self._waiters[job] = waiter = asyncio.get_running_loop().create_future()
        try:
            await waiter
        finally:
            self._waiters.pop(job, None)

    def leave(self, job: Job) -> None:
        """Remove a job; does nothing where it is done."""
        if not job.is_done:
            self._wake(self._law.leave(job, asyncio.get_running_loop().time()))

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _wake(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            waiter = self._waiters.pop(job, None)
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        event_at = self._law.next_event()
        loop = asyncio.get_running_loop()
        self._timer = None if event_at is None else loop.call_at(event_at, self._on_timer)

    def _on_timer(self) -> None:
        self._wake(self._law.advance(asyncio.get_running_loop().time()))


class _Sharing:
    """Work that shares an endpoint's speed with other work."""

    __slots__ = ("_job", "_service")

    def __init__(self, service: SharedService, job: Job) -> None:
        self._service = service
        self._job = job

    async def reach(self, index: int) -> int:
        while self._job.reached <= index:
            await self._service.passed(self._job)
        return self._job.reached

    def leave(self) -> None:
        self._service.leave(self._job)
