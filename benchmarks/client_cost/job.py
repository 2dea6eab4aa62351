"""The job of one client process, and what the process spends on it."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .cpu_meter import Reading, watched
from .workloads import WORKLOADS, Workload

PART_RECORDS = 1_000
"""Records of a part of our results. Small, so that the counted requests of a job contain compactions."""


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
    first: int = 1
    last: int = 1
    """The numbers of the two requests between which the CPU time counts."""

    @property
    def kind(self) -> Workload:
        """The workload."""
        return WORKLOADS[self.workload]


Check = Callable[[], object]
"""Raises where an answer was wrong; called after the measurement."""
Client = Callable[[Job], Check]


def measure(client: Client, job: Job) -> list[Reading]:
    """Run a job, and return the readings of the clocks at its first and its last counted request."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with watched(job.url, job.first, job.last) as readings:
        check = client(job)
        check()
        return readings()


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
