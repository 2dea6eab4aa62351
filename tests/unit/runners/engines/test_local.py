"""All shards of a stage on one loop, and the ways a stage ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from runners.calls.active_sample import ActiveSample
from runners.dispatch.dispatcher import NoUsableInstance
from runners.dispatch.slots import WorkerSlot
from runners.engines.local import LocalEngine
from runners.event_loop.shutdown import Shutdown
from runners.samples.bitmap import Bitmap
from runners.samples.record import Record
from sharding.plan import Shard
from tests.unit.runners.doubles import GivenPlan, ScriptedSender, a_dispatcher, a_record

pytestmark = pytest.mark.looptime

Act = Callable[[ActiveSample], Awaitable[None]]


def now() -> float:
    return asyncio.get_running_loop().time()


class Site:
    def __init__(self, act: Act, *, workers: int = 2, grace_s: float = 30) -> None:
        self.shutdown = Shutdown(grace_s)
        self.started: dict[str, float] = {}
        self.delivered: list[int] = []
        self._act = act
        models = {"m": "ab", "other": "c"}
        dispatchers = {
            model: a_dispatcher(ScriptedSender(), *names, workers=workers) for model, names in models.items()
        }
        self.engine = LocalEngine(dispatchers, self._work, self._deliver, self.shutdown, Bitmap(1000), rebalances=False)

    async def _work(self, active: ActiveSample, slot: WorkerSlot) -> Record:
        self.started.setdefault(active.planned, now())
        slot.sent()
        await self._act(active)
        return a_record(active.sample.ordinal)

    async def _deliver(self, record: Record) -> None:
        self.delivered.append(record.ordinal)


async def ten_seconds(active: ActiveSample) -> None:
    await asyncio.sleep(10)


STAGE = [Shard("a", [range(4)], 0.0), Shard("b", [range(10, 14)], 30.0), Shard("c", [range(20, 24)], 50.0)]
PLAN = GivenPlan([STAGE, [Shard("a", [range(30, 34)], 0.0)]])
ALL_OF_STAGE_0 = [*range(4), *range(10, 14), *range(20, 24)]


async def test_every_shard_starts_after_its_delay_and_every_sample_is_delivered() -> None:
    site = Site(ten_seconds)
    assert await site.engine.execute(PLAN, 0) == []
    assert site.started == {"a": 0, "b": 30, "c": 50}
    assert sorted(site.delivered) == ALL_OF_STAGE_0
    assert now() == 70


async def test_draining_ends_waiting_shards_at_once_and_open_samples_with_their_record() -> None:
    site = Site(ten_seconds)
    running = asyncio.create_task(site.engine.execute(PLAN, 0))
    await asyncio.sleep(5)
    site.shutdown.request("stop")
    await running
    assert sorted(site.delivered) == [0, 1]
    assert now() == 10


async def test_after_the_grace_what_is_open_is_cancelled_and_leaves_no_record() -> None:
    async def slow_but_the_first(active: ActiveSample) -> None:
        await asyncio.sleep(10 if active.sample.ordinal == 0 else 10_000)

    site = Site(slow_but_the_first)
    running = asyncio.create_task(site.engine.execute(PLAN, 0))
    await asyncio.sleep(5)
    site.shutdown.request("stop")
    assert await running == []
    assert site.delivered == [0]
    assert now() == 35


async def test_a_second_request_cancels_at_once_also_in_a_later_stage() -> None:
    site = Site(ten_seconds)
    await site.engine.execute(PLAN, 0)
    site.delivered.clear()
    running = asyncio.create_task(site.engine.execute(PLAN, 1))
    await asyncio.sleep(3)
    site.shutdown.request("stop")
    await asyncio.sleep(2)
    site.shutdown.request("now")
    await running
    assert site.delivered == []
    assert now() == 75


async def test_a_bug_in_one_shard_ends_them_all_loudly() -> None:
    async def fail_in_b(active: ActiveSample) -> None:
        await asyncio.sleep(10)
        if active.planned == "b":
            raise ZeroDivisionError

    site = Site(fail_in_b)
    with pytest.raises(ExceptionGroup) as caught:
        await site.engine.execute(PLAN, 0)
    assert caught.group_contains(ZeroDivisionError)
    assert "c" not in site.started


async def test_a_bug_is_loud_also_while_the_grace_runs_out() -> None:
    async def fail_when_cancelled(active: ActiveSample) -> None:
        try:
            await asyncio.sleep(10_000)
        finally:
            raise ZeroDivisionError

    site = Site(fail_when_cancelled)
    running = asyncio.create_task(site.engine.execute(PLAN, 0))
    await asyncio.sleep(5)
    site.shutdown.request("stop")
    with pytest.raises(ExceptionGroup) as caught:
        await running
    assert caught.group_contains(ZeroDivisionError)


async def test_a_model_without_instances_is_told_of_once_and_the_others_go_on() -> None:
    async def lose_a_and_b(active: ActiveSample) -> None:
        await asyncio.sleep(1)
        if active.planned in "ab":
            raise NoUsableInstance("no usable instance left for m")

    site = Site(lose_a_and_b)
    lost = await site.engine.execute(PLAN, 0)
    assert [str(error) for error in lost] == ["no usable instance left for m"]
    assert sorted(site.delivered) == [20, 21, 22, 23]


async def test_what_is_done_already_is_not_opened() -> None:
    site = Site(ten_seconds)
    for ordinal in [0, 2, 10, 11, 12, 13]:
        site.engine.done.add(ordinal)
    await site.engine.execute(PLAN, 0)
    assert sorted(site.delivered) == [1, 3, 20, 21, 22, 23]
    assert "b" not in site.started


async def test_a_cancellation_from_outside_passes() -> None:
    site = Site(ten_seconds)
    running = asyncio.create_task(site.engine.execute(PLAN, 0))
    await asyncio.sleep(5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
