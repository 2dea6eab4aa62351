"""The workers of one instance: as many samples in flight as the instance has places, until the queue or the run ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sharding.plan import Plan

from ..calls.active_sample import ActiveSample
from ..calls.budget import LimitReached
from ..dispatch.dispatcher import NoUsableInstance
from ..dispatch.slots import SlotLease, WorkerSlot, WorkerSlots
from ..shutdown import Shutdown
from .record import Record
from .shard_queue import ModelQueues

MOST_OPEN = 1_000
"""Samples open at once where the worker count is unbounded: what is in flight is the limiter's business then."""

Work = Callable[[ActiveSample, SlotLease], Awaitable[Record]]
Deliver = Callable[[Record], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """Where a pool stands: its shard's instance, stage and start."""

    instance: str
    stage: int
    start_after_s: float
    workers: int | None


class Pool:
    def __init__(
        self, pool_spec: PoolSpec, queues: ModelQueues, work: Work, deliver: Deliver, on_dry: Callable[[], None]
    ) -> None:
        self.pool_spec = pool_spec
        self.queues = queues
        self.lost: NoUsableInstance | None = None
        self._work = work
        self._deliver = deliver
        self._on_dry = on_dry

    async def run(self, plan: Plan, shutdown: Shutdown) -> None:
        """Open samples until there are none or the run drains; ends when the last one open has ended."""
        loop, slots = asyncio.get_running_loop(), WorkerSlots(self.pool_spec.workers or MOST_OPEN, shutdown.pause)
        await self._wait_for_start(shutdown)
        async with asyncio.TaskGroup() as in_flight_samples:
            while True:
                wanted_at = loop.time()
                place = await slots.take()
                taken = None if shutdown.draining.is_set() else self.queues.take(self.pool_spec.instance)
                if taken is None:
                    place.end()
                    break
                sample, queue_s = plan.sample(taken.ordinal), loop.time() - wanted_at
                active = ActiveSample(
                    sample, taken.planned, self.pool_spec.instance, self.pool_spec.stage, time.time(), queue_s
                )
                in_flight_samples.create_task(self._one(active, place), name=f"task {sample.task.task_id}")
                await asyncio.sleep(
                    0
                )  # pools that start together open theirs in turns: nobody steals before the other has begun
            self._on_dry()

    async def _wait_for_start(self, shutdown: Shutdown) -> None:
        """No longer than the run goes on, or the others leave something to open."""
        if self.pool_spec.start_after_s <= 0:
            return
        ends = [asyncio.ensure_future(event.wait()) for event in (shutdown.draining, self.queues.emptied)]
        try:
            await asyncio.wait(ends, timeout=self.pool_spec.start_after_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()

    async def _one(self, active: ActiveSample, place: WorkerSlot) -> None:
        try:
            record = await self._work(active, place)
            await self._deliver(record)
        except NoUsableInstance as error:
            self.lost = error
            self.queues.close()
        except LimitReached:
            self.queues.close()  # the sample stays pending
        finally:
            place.end()
