"""How often a limiter is asked for each request that it lets go: at most 1.3 times while requests wait, on any clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import pytest
import uvloop

from providers.messages import JSON
from runners.dispatch.dispatcher import Dispatcher
from runners.dispatch.instance_state import InstanceState
from runners.dispatch.permit_request import PermitRequest
from runners.event_loop.virtual_time import run_virtual
from runners.limits.adaptive.state import AdaptiveLimits
from runners.limits.adaptive_limiter import AdaptiveLimiter
from runners.limits.fixed import FixedLimiter
from runners.limits.permit import Cost, Go, Limiter, Settled, WaitForEvent, WaitUntil
from tests.unit.runners.doubles import COST, Decisions, ScriptedSender, an_instance

T = TypeVar("T")


class AskedLimits(AdaptiveLimits):
    asked = 0

    def acquire(self, cost: Cost, now: float) -> Go | WaitUntil | WaitForEvent:
        self.asked += 1
        return super().acquire(cost, now)


class AskedFixed(FixedLimiter):
    asked = 0

    def try_acquire(self, cost: Cost, now: float) -> int | None:
        self.asked += 1
        return super().try_acquire(cost, now)


def a_flow(per_s: float) -> Mapping[str, JSON]:
    """What a run has learnt that met a bucket again and again."""
    evidence = {"refusals": 9, "bound_s": 600.0, "age_s": 0.0}
    limits = {"requests": per_s}
    return {"version": 1, "mode": "rate", "level": 0, "latency_s": 0.05, "limits": limits, "evidence": evidence}


async def run_requests(limiter: Limiter, requests: int, at_once: int, latency_s: float) -> float:
    """Send them as workers do, and return how many were sent per second."""
    loop = asyncio.get_running_loop()
    dispatcher = Dispatcher("m", [InstanceState(an_instance(), ScriptedSender(), limiter)], Decisions())
    numbers, began_at = iter(range(requests)), loop.time()

    async def work() -> None:
        for _ in numbers:
            permit = dispatcher.try_acquire(COST, "a", frozenset())
            if permit is None:
                permit = await dispatcher.acquire(PermitRequest(COST, "a", frozenset(), loop.time() + 1e4))
            await asyncio.sleep(latency_s)
            dispatcher.finish(permit, Settled("succeeded", loop.time() - permit.sent_at), None)

    async with asyncio.TaskGroup() as workers:
        for _ in range(at_once):
            workers.create_task(work())
    return requests / (loop.time() - began_at - latency_s)


def on_uvloop(scene: Awaitable[T]) -> T:
    async def run() -> T:
        return await scene

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


CLOCKS = [pytest.param(run_virtual, id="virtual time"), pytest.param(on_uvloop, id="uvloop")]


@pytest.mark.parametrize("run", CLOCKS)
@pytest.mark.parametrize("per_s", [80, 400, 2_000])
def test_a_limiter_is_asked_about_once_per_grant_under_a_rate(
    run: Callable[[Awaitable[float]], float], per_s: float
) -> None:
    state = AskedLimits(most=None, restored=a_flow(per_s))
    run(run_requests(AdaptiveLimiter(state), 200, 200, 0.05))
    assert state.asked <= 1.3 * 200


@pytest.mark.parametrize("run", CLOCKS)
def test_a_limiter_is_asked_about_once_per_grant_under_a_cap_on_the_requests_in_flight(
    run: Callable[[Awaitable[float]], float],
) -> None:
    state = AskedLimits(most=5)
    run(run_requests(AdaptiveLimiter(state), 200, 50, 0.002))
    assert state.asked <= 1.3 * 200


@pytest.mark.parametrize("run", CLOCKS)
def test_a_limiter_is_asked_about_once_per_grant_while_the_limits_are_being_learnt(
    run: Callable[[Awaitable[float]], float],
) -> None:
    state = AskedLimits(most=None)
    run(run_requests(AdaptiveLimiter(state), 1_000, 1_000, 0.05))
    assert state.asked <= 1.3 * 1_000


@pytest.mark.parametrize("run", CLOCKS)
@pytest.mark.parametrize("qps", [100, 2_000])
def test_a_limiter_is_asked_about_once_per_grant_under_a_fixed_rate(
    run: Callable[[Awaitable[float]], float], qps: float
) -> None:
    limiter = AskedFixed(workers=1_000, qps=qps)
    run(run_requests(limiter, 100, 100, 0.01))
    assert limiter.asked <= 1.3 * 100


@pytest.mark.parametrize("per_s", [80, 400, 2_000])
def test_a_rate_is_held_though_sends_go_a_tick_early(per_s: int) -> None:
    limiter = AdaptiveLimiter(AdaptiveLimits(most=None, restored=a_flow(per_s)))
    rate = run_virtual(run_requests(limiter, min(2_000, 6 * per_s), 1_000, 0.05))
    assert 0.96 * per_s <= rate <= 1.001 * per_s, "a restored limit is asked for with a dip of 3 % at first"
