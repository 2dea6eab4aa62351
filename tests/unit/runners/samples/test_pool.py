"""The workers of one shard on virtual time: how many are open, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from runners.calls.active_sample import ActiveSample
from runners.dispatch.dispatcher import NoUsableInstance
from runners.dispatch.slots import LOOKAHEAD, WorkerSlot
from runners.event_loop.shutdown import Shutdown
from runners.samples.bitmap import Bitmap
from runners.samples.pool import Pool, PoolSpec, SampleSteps
from runners.samples.record import Record
from runners.samples.shard_queue import ModelQueues, ShardQueue
from tests.unit.runners.doubles import GivenPlan, ScriptedSender, a_dispatcher, a_record

pytestmark = pytest.mark.looptime

PLAN = GivenPlan(())


def now() -> float:
    return asyncio.get_running_loop().time()


def queues(samples: int) -> ModelQueues:
    done = Bitmap(samples)
    return ModelQueues(
        {"a": ShardQueue([range(samples)], done)}, a_dispatcher(ScriptedSender()), done=done, rebalances=True
    )


class Bench:
    """Work that takes a while, and where its records go."""

    def __init__(
        self, act: Callable[[ActiveSample, WorkerSlot], Awaitable[None]] | None = None, takes_s: float = 10
    ) -> None:
        self.active: list[tuple[int, float]] = []
        self.seen: list[ActiveSample] = []
        self.delivered: list[int] = []
        self.dry_at: list[float] = []
        self.open = self.most_open = 0
        self._act = act
        self._takes_s = takes_s

    async def work(self, active: ActiveSample, slot: WorkerSlot) -> Record:
        self.active.append((active.sample.ordinal, now()))
        self.seen.append(active)
        slot.sent()
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            if self._act is not None:
                await self._act(active, slot)
            await asyncio.sleep(self._takes_s)
        finally:
            self.open -= 1
        return a_record(active.sample.ordinal)

    async def deliver(self, record: Record) -> None:
        self.delivered.append(record.ordinal)

    def pool(self, samples: int, *, workers: int | None = 3, start_after_s: float = 0.0) -> Pool:
        pool_spec = PoolSpec("a", 0, start_after_s, workers)
        return Pool(pool_spec, queues(samples), SampleSteps(self.work, self.deliver), lambda: self.dry_at.append(now()))


async def test_never_more_than_workers_are_open_and_every_sample_is_delivered() -> None:
    bench = Bench()
    await bench.pool(10).run(PLAN, Shutdown())
    assert bench.most_open == 3
    assert sorted(bench.delivered) == list(range(10))
    assert [at for _, at in bench.active] == [0, 0, 0, 10, 10, 10, 20, 20, 20, 30]


async def test_without_a_bound_all_are_open_at_once() -> None:
    bench = Bench()
    await bench.pool(200, workers=None).run(PLAN, Shutdown())
    assert bench.most_open == 200
    assert now() == 10


async def test_a_sample_knows_where_it_is_planned_and_how_long_it_queued() -> None:
    bench = Bench()
    await bench.pool(2, workers=1).run(PLAN, Shutdown())
    assert [(active.planned, active.stage, active.queue_s) for active in bench.seen] == [("a", 0, 0), ("a", 0, 10)]


async def test_a_line_of_unsent_samples_is_bounded_however_many_workers_there_are() -> None:
    active = 0
    leases: list[WorkerSlot] = []

    async def wait_for_leave(sample: ActiveSample, slot: WorkerSlot) -> Record:
        nonlocal active
        active += 1
        leases.append(slot)
        await asyncio.sleep(100)
        return a_record(sample.sample.ordinal)

    pool = Pool(PoolSpec("a", 0, 0.0, None), queues(100), SampleSteps(wait_for_leave, Bench().deliver), lambda: None)
    running = asyncio.create_task(pool.run(PLAN, Shutdown()))
    await asyncio.sleep(1)
    assert active == LOOKAHEAD
    leases[0].sent()
    await asyncio.sleep(1)
    assert active == LOOKAHEAD + 1
    await running


async def test_it_says_when_it_runs_dry_while_samples_are_still_open() -> None:
    bench = Bench()
    await bench.pool(4).run(PLAN, Shutdown())
    assert bench.dry_at == [10]


async def test_it_starts_after_its_delay() -> None:
    bench = Bench()
    await bench.pool(1, start_after_s=25).run(PLAN, Shutdown())
    assert bench.active == [(0, 25)]


async def test_a_parked_sample_makes_room_and_needs_a_place_to_go_on() -> None:
    async def park_the_first(active: ActiveSample, slot: WorkerSlot) -> None:
        if active.sample.ordinal == 0:
            await slot.park(5)

    bench = Bench(park_the_first)
    await bench.pool(3, workers=1).run(PLAN, Shutdown())
    assert bench.active == [
        (0, 0),
        (1, 0),
        (2, 20),
    ]  # sample 0 waited for the place of sample 1 before sample 2 was opened
    assert bench.delivered == [1, 0, 2]


async def test_a_sample_that_waits_for_nothing_leaves_the_loop_to_others() -> None:
    async def wait_for_nothing(active: ActiveSample, slot: WorkerSlot) -> Record:
        slot.sent()
        return a_record(active.sample.ordinal)

    bench = Bench()
    pool = Pool(PoolSpec("a", 0, 0.0, 3), queues(300), SampleSteps(wait_for_nothing, bench.deliver), lambda: None)
    running = asyncio.create_task(pool.run(PLAN, Shutdown()))
    for _ in range(20):
        await asyncio.sleep(0)
    assert 0 < len(bench.delivered) < 300
    await running
    assert sorted(bench.delivered) == list(range(300))


async def test_a_worker_works_on_one_sample_after_the_other() -> None:
    workers: set[object] = set()

    async def note_the_worker(active: ActiveSample, slot: WorkerSlot) -> None:
        workers.add(asyncio.current_task())

    await Bench(note_the_worker).pool(60).run(PLAN, Shutdown())
    assert len(workers) == 3


async def test_draining_takes_no_more_and_finishes_what_is_open() -> None:
    bench, shutdown = Bench(), Shutdown()
    running = asyncio.create_task(bench.pool(10).run(PLAN, shutdown))
    await asyncio.sleep(12)
    shutdown.request("stop")
    await running
    assert sorted(bench.delivered) == list(range(6))
    assert now() == 20


async def test_draining_before_the_start_opens_nothing() -> None:
    bench, shutdown = Bench(), Shutdown()
    running = asyncio.create_task(bench.pool(10, start_after_s=100).run(PLAN, shutdown))
    await asyncio.sleep(1)
    shutdown.request("stop")
    await running
    assert (bench.active, now()) == ([], 1)


async def test_a_bug_ends_the_pool_loudly_and_leaves_nothing_running() -> None:
    async def fail_the_second(active: ActiveSample, slot: WorkerSlot) -> None:
        if active.sample.ordinal == 1:
            raise ZeroDivisionError

    bench = Bench(fail_the_second)
    with pytest.raises(ExceptionGroup) as caught:
        await bench.pool(10).run(PLAN, Shutdown())
    assert caught.group_contains(ZeroDivisionError)
    assert (bench.open, bench.delivered) == (0, [])


async def test_a_record_that_cannot_be_delivered_ends_the_pool_loudly() -> None:
    bench = Bench()

    async def refuse(record: Record) -> None:
        raise OSError("no space")

    pool = Pool(PoolSpec("a", 0, 0.0, 2), queues(5), SampleSteps(bench.work, refuse), lambda: None)
    with pytest.raises(ExceptionGroup) as caught:
        await pool.run(PLAN, Shutdown())
    assert caught.group_contains(OSError)


async def test_when_no_instance_is_left_the_rest_stays_pending() -> None:
    async def lose_the_third(active: ActiveSample, slot: WorkerSlot) -> None:
        if active.sample.ordinal == 2:
            raise NoUsableInstance("no usable instance left for m")

    bench = Bench(lose_the_third)
    pool = bench.pool(50)
    await pool.run(PLAN, Shutdown())
    assert sorted(bench.delivered) == [0, 1]
    assert str(pool.lost) == "no usable instance left for m"
    assert pool.queues.take("a") is None


async def test_samples_late_while_they_wait_for_a_place_do_not_let_more_in_than_workers() -> None:
    async def park_briefly(active: ActiveSample, slot: WorkerSlot) -> None:
        if active.sample.ordinal % 2 == 0:
            try:
                async with asyncio.timeout(4):
                    await slot.park(2)
            except TimeoutError:
                return

    bench = Bench(park_briefly)
    slots_held = 0
    most_held = 0

    async def work(active: ActiveSample, slot: WorkerSlot) -> Record:
        nonlocal slots_held, most_held
        if active.sample.ordinal % 2:  # these never park: each of them has a place all the time
            slots_held += 1
            most_held = max(most_held, slots_held)
        try:
            return await bench.work(active, slot)
        finally:
            slots_held -= active.sample.ordinal % 2

    await Pool(PoolSpec("a", 0, 0.0, 2), queues(60), SampleSteps(work, bench.deliver), lambda: None).run(
        PLAN, Shutdown()
    )
    assert most_held == 2
    assert sorted(bench.delivered) == list(range(60))
