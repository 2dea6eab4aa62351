"""First drain with a grace, then cancel; both as often and as late as they come."""

from __future__ import annotations

import asyncio

import pytest

from runners.event_loop.shutdown import Shutdown

pytestmark = pytest.mark.looptime


def now() -> float:
    return asyncio.get_running_loop().time()


async def bounded_sleep(shutdown: Shutdown, seconds: float) -> bool:
    """Whether it slept to the end."""
    slept: list[float] = []
    async with shutdown.bounded():
        await asyncio.sleep(seconds)
        slept.append(seconds)
    return bool(slept)


async def test_nothing_is_bounded_before_it_is_asked_for() -> None:
    assert await bounded_sleep(Shutdown(grace_s=1), 10_000)


async def test_the_first_request_drains_and_keeps_its_reason() -> None:
    shutdown = Shutdown()
    assert not shutdown.draining.is_set()
    shutdown.request("interrupted")
    shutdown.request("again")
    assert shutdown.draining.is_set()
    assert shutdown.reason == "interrupted"


async def test_what_ends_within_the_grace_ends_by_itself() -> None:
    shutdown = Shutdown(grace_s=30)
    work = asyncio.create_task(bounded_sleep(shutdown, 29))
    await asyncio.sleep(0)
    shutdown.request("stop")
    assert await work


async def test_what_does_not_is_cancelled_when_it_is_over() -> None:
    shutdown = Shutdown(grace_s=30)
    work = asyncio.create_task(bounded_sleep(shutdown, 1000))
    await asyncio.sleep(5)
    shutdown.request("stop")
    assert not await work
    assert now() == 35


async def test_the_second_request_cancels_at_once() -> None:
    shutdown = Shutdown(grace_s=30)
    work = asyncio.create_task(bounded_sleep(shutdown, 1000))
    await asyncio.sleep(5)
    shutdown.request("stop")
    await asyncio.sleep(1)
    shutdown.request("now")
    shutdown.request("now!")
    assert not await work
    assert now() == 6


async def test_a_stage_that_is_over_does_not_stand_in_the_way_of_the_next() -> None:
    shutdown = Shutdown(grace_s=30)
    assert await bounded_sleep(shutdown, 1)
    second = asyncio.create_task(bounded_sleep(shutdown, 1000))
    await asyncio.sleep(1)
    shutdown.request("stop")
    shutdown.request("now")
    assert not await second
    assert now() == 2


async def test_a_request_after_the_end_of_everything_is_harmless() -> None:
    shutdown = Shutdown()
    assert await bounded_sleep(shutdown, 1)
    shutdown.request("stop")
    shutdown.request("now")


async def test_what_begins_after_the_request_is_bounded_as_well() -> None:
    shutdown = Shutdown(grace_s=30)
    shutdown.request("stop")
    assert not await bounded_sleep(shutdown, 1000)
    assert now() == 30


async def test_a_timeout_of_the_work_itself_is_not_taken_for_the_grace() -> None:
    shutdown = Shutdown(grace_s=30)
    shutdown.request("stop")
    with pytest.raises(TimeoutError):
        async with shutdown.bounded(), asyncio.timeout(3):
            await asyncio.sleep(10)


async def test_a_cancellation_from_outside_stays_one() -> None:
    work = asyncio.create_task(bounded_sleep(Shutdown(), 10))
    await asyncio.sleep(1)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work


async def test_waiting_ends_with_its_delay_or_with_the_drain() -> None:
    shutdown = Shutdown()
    await shutdown.wait(12)
    assert now() == 12
    waiting = asyncio.create_task(shutdown.wait(1000))
    await asyncio.sleep(1)
    shutdown.request("stop")
    await waiting
    await shutdown.wait(1000)
    assert now() == 13


async def test_what_has_no_grace_is_cancelled_by_the_first_request() -> None:
    shutdown, ended = Shutdown(grace_s=30), []

    async def open_something() -> None:
        async with shutdown.bounded(has_grace=False):
            await asyncio.sleep(1000)
        ended.append(now())

    work = asyncio.create_task(open_something())
    await asyncio.sleep(5)
    shutdown.request("stop")
    await work
    await open_something()
    assert ended == [5, 5]


async def test_who_listens_is_told_once_when_draining_starts_and_at_once_if_it_has() -> None:
    shutdown, told = Shutdown(), []
    with shutdown.heard_by(lambda: told.append("early")):
        shutdown.request("stop")
        shutdown.request("now")
    with shutdown.heard_by(lambda: told.append("late")):
        shutdown.request("now!")
    assert told == ["early", "late"]


async def test_a_pause_before_another_try_ends_in_a_cancellation_when_draining_starts() -> None:
    shutdown = Shutdown()
    await shutdown.pause(3)
    pausing = asyncio.create_task(shutdown.pause(1000))
    await asyncio.sleep(1)
    shutdown.request("stop")
    with pytest.raises(asyncio.CancelledError):
        await pausing
    assert now() == 4
