"""The workers of one shard: as many samples in flight as the instance has places, until the queue or the run ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sharding.plan import Plan

from .dispatch import NoUsableInstance
from .lease import Place, SlotLease, Slots
from .queue import ShardQueue
from .record import Record
from .shutdown import Shutdown
from .worker import Opened

MOST_OPEN = 1_000
"""Samples open at once where the worker count is unbounded: what is in flight is the limiter's business then."""

Work = Callable[[Opened, SlotLease], Awaitable[Record]]
Deliver = Callable[[Record], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Post:
    """Where a pool stands: its shard's instance, stage and start."""

    instance: str
    stage: int
    start_after_s: float
    workers: int | None


class Pool:
    def __init__(self, post: Post, queue: ShardQueue, work: Work, deliver: Deliver) -> None:
        self.post = post
        self.queue = queue
        self.lost: NoUsableInstance | None = None
        self._work = work
        self._deliver = deliver
        self._slots = Slots(post.workers or MOST_OPEN)

    async def run(self, plan: Plan, shutdown: Shutdown) -> None:
        """Open samples until there are none or the run drains; ends when the last one open has ended."""
        loop = asyncio.get_running_loop()
        await shutdown.wait(self.post.start_after_s)
        async with asyncio.TaskGroup() as open_samples:
            while True:
                wanted_at = loop.time()
                place = await self._slots.take()
                ordinal = None if shutdown.draining.is_set() else self.queue.take()
                if ordinal is None:
                    place.give_back()
                    return
                queue_s = loop.time() - wanted_at
                opened = Opened(plan.sample(ordinal), self.post.instance, self.post.stage, time.time(), queue_s)
                open_samples.create_task(self._one(opened, place))

    async def _one(self, opened: Opened, place: Place) -> None:
        try:
            record = await self._work(opened, place)
            await self._deliver(record)
        except NoUsableInstance as error:
            self.lost = error
            self.queue.close()
        finally:
            place.give_back()
