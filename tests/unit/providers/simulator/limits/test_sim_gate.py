from __future__ import annotations

import asyncio
from typing import Any

import pytest

from providers.simulator.limits.gate import QuotaGate
from providers.simulator.limits.service import Service
from providers.simulator.settings.provider import EndpointSettings, LatencySettings

pytestmark = pytest.mark.looptime


def gate(**settings: Any) -> QuotaGate:
    return QuotaGate(EndpointSettings(**settings))


async def enter_at(door: QuotaGate, tokens: int, times: list[float]) -> None:
    assert await door.enter(tokens) is None
    times.append(round(asyncio.get_running_loop().time(), 3))


async def test_a_refusing_gate_answers_at_once() -> None:
    door = gate(rpm=1)
    assert await door.enter(1) is None
    refused = await door.enter(1)
    assert refused is not None
    assert refused.retry_after_s == pytest.approx(60.0)


async def test_a_holding_gate_lets_in_as_the_window_slides() -> None:
    door, times = gate(rpm=12, window_s=10, on_limit="hold"), list[float]()  # 2 per 10 s
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(enter_at(door, 1, times))
    assert times == [0.0, 0.0, 10.0, 10.0, 20.0]


async def test_those_held_come_in_first_come_first_served_even_when_a_later_one_would_fit() -> None:
    door, order = gate(tpm=100, on_limit="hold"), list[int]()

    async def enter(tokens: int) -> None:
        assert await door.enter(tokens) is None
        order.append(tokens)

    async with asyncio.TaskGroup() as group:
        for tokens in (60, 70, 10):
            group.create_task(enter(tokens))
    assert order == [60, 70, 10]
    assert asyncio.get_running_loop().time() == pytest.approx(60.0)


async def test_a_holding_gate_waits_for_a_place_and_not_for_a_time_when_concurrency_binds() -> None:
    door, times = gate(concurrency=1, on_limit="hold"), list[float]()
    await enter_at(door, 1, times)
    waiting = asyncio.create_task(enter_at(door, 1, times))
    await asyncio.sleep(7)
    door.leave(1)
    await waiting
    assert times == [0.0, 7.0]


async def test_a_held_request_that_is_given_up_does_not_block_the_next() -> None:
    door, times = gate(tpm=100, on_limit="hold"), list[float]()
    await enter_at(door, 60, times)
    large = asyncio.create_task(door.enter(90))
    small = asyncio.create_task(enter_at(door, 40, times))
    await asyncio.sleep(1)
    large.cancel()
    await asyncio.wait([large])
    await small
    assert times == [0.0, 1.0]
    door.close()


async def test_one_let_in_at_the_moment_it_is_given_up_gives_its_place_back() -> None:
    door = gate(concurrency=1, on_limit="hold")
    assert await door.enter(1) is None
    waiting = asyncio.create_task(door.enter(1))
    await asyncio.sleep(0)
    door.leave(1)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert door.quota.inside == 0


async def test_one_given_up_at_the_moment_that_there_is_room_leaves_the_room_to_the_next() -> None:
    door = gate(concurrency=1, on_limit="hold")
    assert await door.enter(1) is None
    given_up, patient = (asyncio.create_task(door.enter(1)) for _ in range(2))
    await asyncio.sleep(0)
    given_up.cancel()
    door.leave(1)
    assert await patient is None
    assert given_up.cancelled()
    assert door.quota.inside == 1


async def test_what_never_fits_is_refused_by_a_holding_gate_too() -> None:
    refused = await gate(tpm=10, on_limit="hold").enter(11)
    assert refused is not None
    assert refused.unit == "tokens"


@pytest.mark.parametrize(("saturates_at", "ends_at"), [(None, 2.0), (2, 4.0)])
async def test_a_service_runs_its_law_on_the_loop(saturates_at: int | None, ends_at: float) -> None:
    service = Service(LatencySettings(saturates_at=saturates_at))
    works = [service.begin([1.0, 2.0]) for _ in range(4)]
    await asyncio.gather(*(work.reach(1) for work in works))
    assert asyncio.get_running_loop().time() == pytest.approx(ends_at)
    assert await works[0].reach(0) == 2


async def test_work_that_is_left_gives_its_share_to_the_others() -> None:
    service = Service(LatencySettings(saturates_at=1))
    kept, left = service.begin([2.0]), service.begin([2.0])
    await asyncio.sleep(2)
    left.leave()
    await kept.reach(0)
    assert asyncio.get_running_loop().time() == pytest.approx(3.0)
    service.close()
