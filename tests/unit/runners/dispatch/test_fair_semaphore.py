"""Permits go to those who wait longest, debts are paid first, and none is lost by a cancellation."""

from __future__ import annotations

import asyncio

import pytest

from runners.dispatch.fair_semaphore import FairSemaphore

pytestmark = pytest.mark.looptime


async def waiting_for(semaphore: FairSemaphore, served: list[int], count: int) -> list[asyncio.Task[None]]:
    async def wait(number: int) -> None:
        await semaphore.acquire()
        served.append(number)

    tasks = [asyncio.create_task(wait(number)) for number in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_who_waits_longest_is_served_first_and_nobody_overtakes() -> None:
    semaphore, served = FairSemaphore(1), list[int]()
    assert semaphore.take()
    tasks = await waiting_for(semaphore, served, 3)
    semaphore.release()
    assert not semaphore.take(), "the permit is promised to the first"
    semaphore.release()
    semaphore.release()
    await asyncio.gather(*tasks)
    assert served == [0, 1, 2]
    assert semaphore.locked()


async def test_a_debt_is_paid_before_anyone_is_served() -> None:
    semaphore, served = FairSemaphore(1), list[int]()
    assert semaphore.take()
    assert semaphore.take(overdraws=True)
    (task,) = await waiting_for(semaphore, served, 1)
    semaphore.release()
    await asyncio.sleep(1)
    assert served == []
    semaphore.release()
    await task
    assert served == [0]


@pytest.mark.parametrize("granted_first", [False, True])
async def test_a_permit_that_was_promised_to_a_cancelled_caller_goes_to_the_next(granted_first: bool) -> None:
    semaphore, served = FairSemaphore(0), list[int]()
    first, second = await waiting_for(semaphore, served, 2)
    if granted_first:
        semaphore.release()
    first.cancel()
    await asyncio.sleep(0)
    if not granted_first:
        semaphore.release()
    await second
    assert (first.cancelled(), served, semaphore.left) == (True, [1], 0)
