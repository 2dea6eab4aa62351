"""The job of one client process, and what the process spends on it."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .workloads import WORKLOADS, Workload


@dataclass(frozen=True, slots=True)
class Job:
    """The work of one client process."""

    url: str
    """Including the workload and /v1."""
    n: int
    in_flight: int
    tasks: str
    """JSONL file with at least `n` tasks, for our pipeline."""
    output: str
    """A folder for the runs."""
    workload: str = "includes"
    mode: str = "fixed"
    instances: int = 1

    @property
    def kind(self) -> Workload:
        """The workload."""
        return WORKLOADS[self.workload]


@dataclass(frozen=True, slots=True)
class Spent:
    """User and system time of the process with its threads and its children, and wall time."""

    cpu_s: float
    wall_s: float


Check = Callable[[], object]
"""Raises where an answer was wrong; called after the measurement."""
Client = Callable[[Job], Check]


def measure(client: Client, job: Job) -> Spent:
    """Run a job. The CPU time counts from the start of this process, so use the difference of two processes."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    started = time.perf_counter()
    check = client(job)
    wall_s = time.perf_counter() - started
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    check()
    return Spent(sum(usage.ru_utime + usage.ru_stime for usage in usages), wall_s)


async def send_all(job: Job, send: Callable[[int], Awaitable[bool]]) -> int:
    """Send all requests under a semaphore and return the number of right answers."""
    slots, right = asyncio.Semaphore(job.in_flight), 0

    async def send_one(number: int) -> None:
        nonlocal right
        try:
            if await send(number):
                right += 1
        finally:
            slots.release()

    async with asyncio.TaskGroup() as group:
        for number in range(job.n):
            await slots.acquire()
            group.create_task(send_one(number))
    return right


def require(right: int, wanted: int) -> None:
    """End the process with an error unless every answer was right."""
    if right != wanted:
        raise SystemExit(f"{right} of {wanted} answers were right")
