"""The pool of one instance's workers: it keeps as many samples open as there are worker slots, until the queue or the run ends."""

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
"""Worker slots where the number of workers is unbounded: the limiter then bounds the requests in flight."""

Work = Callable[[ActiveSample, SlotLease], Awaitable[Record]]
Deliver = Callable[[Record], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """The specification of a pool: instance, stage and start time of its shard, and the number of workers."""

    instance: str
    stage: int
    start_after_s: float
    workers: int | None


class Pool:
    """The workers of one instance in one stage."""

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
        """Open samples until there are none or the run drains, and wait until all of them have ended."""
        loop, slots = asyncio.get_running_loop(), WorkerSlots(self.pool_spec.workers or MOST_OPEN, shutdown.pause)
        await self._wait_for_start(shutdown)
        async with asyncio.TaskGroup() as in_flight_samples:
            while True:
                wanted_at = loop.time()
                slot = await slots.take()
                taken = None if shutdown.draining.is_set() else self.queues.take(self.pool_spec.instance)
                if taken is None:
                    slot.end()
                    break
                sample, queue_s = plan.sample(taken.ordinal), loop.time() - wanted_at
                active = ActiveSample(
                    sample, taken.planned, self.pool_spec.instance, self.pool_spec.stage, time.time(), queue_s
                )
                in_flight_samples.create_task(self._run_sample(active, slot), name=f"task {sample.task.task_id}")
                await asyncio.sleep(0)  # pools that start together take turns: none takes work before the others began
            self._on_dry()

    async def _wait_for_start(self, shutdown: Shutdown) -> None:
        """Wait for the start time, but end early if the run drains or the queues are empty."""
        if self.pool_spec.start_after_s <= 0:
            return
        ends = [asyncio.ensure_future(event.wait()) for event in (shutdown.draining, self.queues.emptied)]
        try:
            await asyncio.wait(ends, timeout=self.pool_spec.start_after_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()

    async def _run_sample(self, active: ActiveSample, slot: WorkerSlot) -> None:
        try:
            record = await self._work(active, slot)
            await self._deliver(record)
        except NoUsableInstance as error:
            self.lost = error
            self.queues.close()
        except LimitReached:
            self.queues.close()  # the sample stays pending
        finally:
            slot.end()
