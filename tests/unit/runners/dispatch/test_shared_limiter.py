"""Models whose instances share one limiter: each has its queue, and nobody starves."""

from __future__ import annotations

import asyncio

import pytest

from runners.dispatch.dispatcher import Dispatcher
from runners.dispatch.instance_state import InstanceState
from runners.dispatch.permit_request import PermitRequest
from runners.dispatch.waiting_queue import LimiterGroups
from runners.limits.fixed import FixedLimiter
from runners.limits.permit import Settled
from tests.unit.runners.doubles import COST, Decisions, ScriptedSender, an_instance

pytestmark = pytest.mark.looptime


class TwoModels:
    """Models m and n behind one limiter, and who was sent in which order."""

    def __init__(self, limiter: FixedLimiter) -> None:
        groups = LimiterGroups()
        self.dispatchers = {
            model: Dispatcher(
                model, [InstanceState(an_instance(model, model), ScriptedSender(), limiter)], Decisions(), groups
            )
            for model in "mn"
        }
        self.went: list[tuple[str, float]] = []

    async def send(self, model: str, holds_s: float = 1.0) -> None:
        loop, dispatcher = asyncio.get_running_loop(), self.dispatchers[model]
        permit = dispatcher.try_acquire(COST, model, frozenset())
        if permit is None:
            permit = await dispatcher.acquire(PermitRequest(COST, model, frozenset(), loop.time() + 1e4))
        self.went.append((model, loop.time()))
        await asyncio.sleep(holds_s)
        dispatcher.finish(permit, Settled("succeeded", holds_s), None)

    async def send_all(self, models: str) -> str:
        async with asyncio.TaskGroup() as group:
            for model in models:
                group.create_task(self.send(model))
        return "".join(model for model, _ in self.went)


@pytest.mark.parametrize(("workers", "qps"), [(1, None), (100, 2.0), (2, 4.0)])
async def test_they_are_served_in_the_order_of_arrival(workers: int, qps: float | None) -> None:
    models = "mnnmmmnnmn"
    assert await TwoModels(FixedLimiter(workers=workers, qps=qps)).send_all(models) == models


async def test_a_model_that_waits_alone_is_woken_by_the_other_ones_end_and_by_the_time() -> None:
    scene = TwoModels(FixedLimiter(workers=1, qps=0.125))
    async with asyncio.TaskGroup() as group:
        group.create_task(scene.send("m"))
        await asyncio.sleep(0.5)
        group.create_task(scene.send("n"))
    assert scene.went == [("m", 0.0), ("n", 8.0)]
