"""A sample's place: parked samples make room, and nobody ever holds two places or gives one back twice."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from runners.dispatch.slots import PARKED_PER_WORKER, WorkerSlot, WorkerSlots

pytestmark = pytest.mark.looptime


def now() -> float:
    return asyncio.get_running_loop().time()


async def free_places(slots: WorkerSlots) -> int:
    """How many can be taken without waiting."""
    taken: list[WorkerSlot] = []
    while not slots.free.locked():
        taken.append(await slots.take())
    for place in taken:
        place.give_back()
    return len(taken)


async def test_parking_makes_room_for_another_sample() -> None:
    slots = WorkerSlots(1)
    place = await slots.take()
    parked = asyncio.create_task(place.park(10))
    await asyncio.sleep(0)
    other = await slots.take()
    assert now() == 0
    other.give_back()
    await parked
    assert now() == 10
    assert await free_places(slots) == 0
    place.give_back()
    assert await free_places(slots) == 1


async def test_a_sample_goes_on_only_when_it_has_a_place_again() -> None:
    slots = WorkerSlots(1)
    parked = asyncio.create_task((await slots.take()).park(5))
    await asyncio.sleep(0)
    other = await slots.take()
    await asyncio.sleep(8)
    assert not parked.done()
    other.give_back()
    await parked
    assert now() == 8


async def test_a_full_parking_keeps_the_place() -> None:
    slots = WorkerSlots(1)
    parked = []
    for _ in range(PARKED_PER_WORKER):
        parked.append(asyncio.create_task((await slots.take()).park(100)))
        await asyncio.sleep(0)
    one_more = await slots.take()
    waiting = asyncio.create_task(one_more.park(3))
    await asyncio.sleep(1)
    assert await free_places(slots) == 0
    await waiting
    assert now() == 3
    one_more.give_back()
    await asyncio.wait_for(asyncio.gather(*[_end_after(task, slots) for task in parked]), 1000)


async def _end_after(parked: asyncio.Task[None], slots: WorkerSlots) -> None:
    await parked
    slots.free.release()


async def test_a_sample_cancelled_while_parked_does_not_wait_for_a_place_and_gives_none_back() -> None:
    slots = WorkerSlots(1)
    place = await slots.take()
    parked = asyncio.create_task(place.park(10))
    await asyncio.sleep(1)
    other = await slots.take()
    parked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await parked
    assert now() == 1
    place.give_back()
    assert await free_places(slots) == 0
    other.give_back()
    assert await free_places(slots) == 1


async def test_a_deadline_that_comes_while_waiting_for_the_place_does_not_make_a_place_more() -> None:
    slots = WorkerSlots(1)
    place = await slots.take()

    async def sample() -> None:
        try:
            async with asyncio.timeout(7):
                await place.park(5)
        except TimeoutError:
            pass
        finally:
            place.give_back()

    parked = asyncio.create_task(sample())
    await asyncio.sleep(1)
    other = await slots.take()
    await parked
    assert now() == 7
    assert await free_places(slots) == 0
    other.give_back()
    assert await free_places(slots) == 1


async def test_a_cancelled_sample_leaves_the_parking() -> None:
    slots = WorkerSlots(1)
    for _ in range(3 * PARKED_PER_WORKER):
        parked = asyncio.create_task((await slots.take()).park(10))
        await asyncio.sleep(0)
        parked.cancel()
        await asyncio.wait([parked])
    assert not slots.parking.locked()
    assert await free_places(slots) == 1


async def test_two_calls_of_one_sample_that_wait_at_once_give_one_place_back_and_take_one() -> None:
    slots = WorkerSlots(1)
    place = await slots.take()
    calls = asyncio.gather(place.park(5), place.park(5))
    await asyncio.sleep(1)
    assert await free_places(slots) == 1
    await calls
    assert await free_places(slots) == 0
    place.give_back()
    place.give_back()
    assert await free_places(slots) == 1


async def test_calls_of_one_sample_do_not_wait_for_more_places_than_it_had() -> None:
    slots = WorkerSlots(1)
    place = await slots.take()
    calls = asyncio.gather(*[place.park(1) for _ in range(3)])
    await asyncio.sleep(0)
    other = await slots.take()
    await asyncio.sleep(5)
    other.end()
    await asyncio.wait_for(calls, 1)
    assert await free_places(slots) == 0
    place.end()
    assert await free_places(slots) == 1


async def begun(slots: WorkerSlots) -> WorkerSlot:
    place = await slots.take()
    place.sent()
    return place


async def test_a_sample_that_waits_for_leave_makes_room_and_goes_on_without_waiting_for_a_place() -> None:
    slots = WorkerSlots(1)
    place = await begun(slots)
    with place.release_while_waiting():
        other = await slots.take()
    assert now() == 0
    other.end()
    assert await free_places(slots) == 0, "the place that was given back is the one that went on"
    place.end()
    assert await free_places(slots) == 1


async def test_a_sample_that_was_never_sent_keeps_its_place_while_it_waits() -> None:
    slots = WorkerSlots(1)
    place = await slots.take()
    with place.release_while_waiting():
        assert await free_places(slots) == 0
    place.end()
    assert await free_places(slots) == 1


async def test_a_full_parking_keeps_the_place_of_who_waits_for_leave() -> None:
    slots = WorkerSlots(1)
    with ExitStack() as waiting:
        for _ in range(PARKED_PER_WORKER):
            waiting.enter_context((await begun(slots)).release_while_waiting())
        one_more = await begun(slots)
        with one_more.release_while_waiting():
            assert await free_places(slots) == 0
    assert await free_places(slots) == 0


async def test_a_sample_cancelled_while_it_waits_for_leave_leaves_nothing_behind() -> None:
    slots = WorkerSlots(1)
    place = await begun(slots)
    try:
        async with asyncio.timeout(5):
            with place.release_while_waiting():
                await asyncio.sleep(100)
    except TimeoutError:
        place.end()
    assert await free_places(slots) == 1
    assert not slots.parking.locked()


async def test_a_call_that_waits_for_a_place_and_one_that_has_leave_take_one_place_together() -> None:
    slots = WorkerSlots(1)
    place = await begun(slots)
    retrying = asyncio.create_task(place.park(5))
    await asyncio.sleep(1)
    other = await slots.take()
    await asyncio.sleep(5)
    with place.release_while_waiting():
        pass
    other.end()
    await asyncio.wait_for(retrying, 1)
    assert await free_places(slots) == 0
    place.end()
    assert await free_places(slots) == 1


async def requests_for(place: WorkerSlot, duration_s: float) -> None:
    place.begin_request()
    await asyncio.sleep(duration_s)
    place.end_request()


@pytest.mark.parametrize("waits", ["aside", "park"])
async def test_the_place_is_given_back_only_when_no_call_of_the_sample_has_a_request_in_flight(waits: str) -> None:
    slots = WorkerSlots(1)
    place = await begun(slots)

    async def wait_beside() -> None:
        if waits == "park":
            await place.park(10)
        else:
            with place.release_while_waiting():
                await asyncio.sleep(10)

    calls = asyncio.gather(requests_for(place, 5), wait_beside())
    await asyncio.sleep(1)
    assert await free_places(slots) == 0
    await asyncio.sleep(5)
    assert await free_places(slots) == 1, "the last of them waits"
    await calls
    assert await free_places(slots) == 0
    place.end()
    assert await free_places(slots) == 1


async def test_a_request_that_has_leave_at_once_brings_the_place_that_a_waiting_call_had_given_back() -> None:
    slots = WorkerSlots(1)
    place = await begun(slots)
    parked = asyncio.create_task(place.park(10))
    await asyncio.sleep(1)
    place.begin_request()
    assert await free_places(slots) == 0
    await parked
    place.end_request()
    assert await free_places(slots) == 0, "the call that was parked has it"
    place.end()
    assert await free_places(slots) == 1


async def test_a_call_that_waits_for_the_place_shares_the_one_that_a_sibling_brings() -> None:
    slots = WorkerSlots(1)
    place = await begun(slots)
    parked = asyncio.create_task(place.park(5))
    await asyncio.sleep(1)
    other = await slots.take()
    await asyncio.sleep(6)
    assert not parked.done()
    place.begin_request()
    await parked
    assert now() == 7, "though the other sample still has its own"
    other.end()
    assert await free_places(slots) == 0
    place.end_request()
    place.end()
    assert await free_places(slots) == 1


async def test_a_sample_that_ended_brings_no_place() -> None:
    slots = WorkerSlots(1)
    place = await begun(slots)
    with place.release_while_waiting():
        place.end()
    await requests_for(place, 1)
    assert await free_places(slots) == 1


async def test_many_calls_of_many_samples_wait_and_send_and_leave_every_place_free() -> None:
    slots = WorkerSlots(2)

    async def call(place: WorkerSlot, number: int) -> None:
        for turn in range(4):
            if (number + turn) % 3:
                await place.park(0.5 + number % 2)
            with place.release_while_waiting():
                await asyncio.sleep(0.25 * (turn + 1))
            await requests_for(place, 1 + number % 3)

    async def sample(place: WorkerSlot, number: int) -> None:
        try:
            async with asyncio.timeout(None if number % 4 else 6):
                await asyncio.gather(*[call(place, number + beside) for beside in range(3)])
        except TimeoutError:
            pass
        finally:
            place.end()

    async with asyncio.timeout(1000), asyncio.TaskGroup() as samples:
        for number in range(12):
            samples.create_task(sample(await begun(slots), number))
    assert await free_places(slots) == 2
    assert not slots.parking.locked()
