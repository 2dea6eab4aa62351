"""The pool of one instance's workers: it keeps as many samples open as there are worker slots, until the queue or the run ends.

A worker works on one sample after the other. A sample that waits gives its slot to another worker, which the pool starts if none is idle.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sharding.plan import Plan

from ..calls.active_sample import ActiveSample
from ..calls.activity import ActivityStep
from ..calls.budget import LimitReached
from ..dispatch.dispatcher import NoUsableInstance
from ..dispatch.slots import WorkerSlot, WorkerSlots
from ..event_loop.shutdown import Shutdown
from .in_flight_samples import InFlightSamples
from .record import Record
from .shard_queue import ModelQueues

MOST_OPEN = 1_000
"""Worker slots where the number of workers is unbounded: the limiter then bounds the requests in flight."""

Work = Callable[[ActiveSample, WorkerSlot], Awaitable[Record]]
Deliver = Callable[[Record], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """The specification of a pool: instance, stage and start time of its shard, and the number of workers."""

    instance: str
    stage: int
    start_after_s: float
    workers: int | None


@dataclass(frozen=True, slots=True)
class SampleSteps:
    """The steps of a sample that a pool has opened, and the list in which it stands until its record is delivered."""

    work: Work
    deliver: Deliver
    in_flight: InFlightSamples = field(default_factory=InFlightSamples)


class Pool:
    """The workers of one instance in one stage."""

    def __init__(
        self, pool_spec: PoolSpec, queues: ModelQueues, steps: SampleSteps, on_dry: Callable[[], None]
    ) -> None:
        self.pool_spec = pool_spec
        self.queues = queues
        self.lost: NoUsableInstance | None = None
        self._steps = steps
        self._on_dry = on_dry
        self._is_dry = False
        self._time = asyncio.get_running_loop().time
        self._wanted_at = 0.0
        """Since when the pool has wanted a slot for its next sample, loop time."""
        self._opened_last: object = None
        """The worker that opened the last sample."""

    async def run(self, plan: Plan, shutdown: Shutdown) -> None:
        """Open samples until there are none or the run drains, and wait until all of them have ended."""
        await self._wait_for_start(shutdown)
        slots = WorkerSlots(self.pool_spec.workers or MOST_OPEN, shutdown.pause)
        self._wanted_at = self._time()
        async with asyncio.TaskGroup() as workers:
            while await slots.wait_for_room():
                workers.create_task(self._run_worker(plan, shutdown, slots), name=f"worker {self.pool_spec.instance}")
                await asyncio.sleep(0)  # pools that start together take turns: none takes work before the others began

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

    async def _run_worker(self, plan: Plan, shutdown: Shutdown, slots: WorkerSlots) -> None:
        """Work on one sample after the other. End when there are none, or when the slot went to a sample that had waited."""
        worker = asyncio.current_task()
        slot = slots.try_take()
        while slot is not None:
            if self._opened_last is worker:
                await asyncio.sleep(0)  # a solver that waits for nothing must not keep the loop to itself
            active = self._open_next(plan, shutdown)
            if active is None:
                slot.end()
                self._end_opening(slots)
                return
            self._opened_last = worker
            if worker is not None:
                worker.set_name(f"task {active.sample.task.task_id}")  # the loop's watchdog says which sample blocks it
            await self._run_sample(active, slot)
            slot = slots.try_take() or (await slots.take() if slots.free.left > 0 else None)

    def _open_next(self, plan: Plan, shutdown: Shutdown) -> ActiveSample | None:
        """Open the next sample; return None if there is none, or the run drains."""
        taken = None if self._is_dry or shutdown.draining.is_set() else self.queues.take(self.pool_spec.instance)
        if taken is None:
            return None
        sample, now = plan.sample(taken.ordinal), self._time()
        queue_s, self._wanted_at = now - self._wanted_at, now
        return ActiveSample(sample, taken.planned, self.pool_spec.instance, self.pool_spec.stage, time.time(), queue_s)

    def _end_opening(self, slots: WorkerSlots) -> None:
        """Open no more samples."""
        if not self._is_dry:
            self._is_dry = True
            slots.close()
            self._on_dry()

    async def _run_sample(self, active: ActiveSample, slot: WorkerSlot) -> None:
        steps = self._steps
        in_flight, ordinal = steps.in_flight.open, active.sample.ordinal
        in_flight[ordinal] = active
        try:
            record = await steps.work(active, slot)
            active.activity.begin(ActivityStep.DELIVER, self._time())
            await steps.deliver(record)
        except NoUsableInstance as error:
            self.lost = error
            self.queues.close()
        except LimitReached:
            self.queues.close()  # the sample stays pending
        finally:
            del in_flight[ordinal]
            slot.end()
