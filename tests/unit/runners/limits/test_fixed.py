"""Fixed mode on virtual time: the workers bound, the pace, the gate, and the order of arrival.

Rates are powers of two: aiolimiter re-arms a timer that a rounding error made early, and looptime's clock, which counts whole
microseconds, does not move for a rest that is smaller.
"""

from __future__ import annotations

import asyncio

import pytest

from providers.messages import RateLimitHint
from runners.limits.fixed import FixedLimiter
from runners.limits.permit import Settled
from tests.unit.runners.doubles import COST

pytestmark = pytest.mark.looptime

DONE = Settled("succeeded", 0.1)


def refused(retry_after_s: float | None = None) -> Settled:
    return Settled("throttled", 0.1, hint=RateLimitHint(retry_after_s=retry_after_s))


def now() -> float:
    return asyncio.get_running_loop().time()


class Line:
    """Callers that arrive one after another; remembers who was let through and when."""

    def __init__(self, limiter: FixedLimiter) -> None:
        self.limiter = limiter
        self.went: list[tuple[int, float]] = []
        self.turned_away: list[int] = []
        self.wanted = True

    async def call(self, name: int, holds_s: float | None = 0.0) -> None:
        ticket = await self.limiter.acquire(COST, lambda: self.wanted)
        if ticket is None:
            self.turned_away.append(name)
            return
        self.went.append((name, now()))
        if holds_s is not None:
            await asyncio.sleep(holds_s)
            self.limiter.settle(ticket, DONE)

    @property
    def names(self) -> list[int]:
        return [name for name, _ in self.went]

    @property
    def times(self) -> list[float]:
        return [at for _, at in self.went]


async def test_never_more_than_workers_are_in_flight() -> None:
    limiter = FixedLimiter(workers=3, qps=None)
    line = Line(limiter)
    await asyncio.gather(*[line.call(name, holds_s=10) for name in range(9)])
    assert line.times == [0, 0, 0, 10, 10, 10, 20, 20, 20]
    assert limiter.snapshot()["in_flight"] == 0


async def test_sends_are_one_over_qps_apart_from_the_first_on() -> None:
    line = Line(FixedLimiter(workers=100, qps=4))
    await asyncio.gather(*[line.call(name) for name in range(20)])
    assert line.times == pytest.approx([number / 4 for number in range(20)], abs=0.001)


async def test_an_idle_hour_earns_no_burst() -> None:
    line = Line(FixedLimiter(workers=100, qps=2))
    await line.call(0)
    await asyncio.sleep(3600)
    await asyncio.gather(*[line.call(name) for name in range(3)])
    assert line.times[1:] == pytest.approx([3600, 3600.5, 3601], abs=0.001)


@pytest.mark.parametrize("qps", [None, 4.0, 64.0])
async def test_first_come_first_served(qps: float | None) -> None:
    line = Line(FixedLimiter(workers=4, qps=qps))
    await asyncio.gather(*[line.call(name, holds_s=1) for name in range(30)])
    assert line.names == list(range(30))


async def test_arrivals_while_others_wait_for_the_pace_do_not_overtake_them() -> None:
    line = Line(FixedLimiter(workers=50, qps=8))
    async with asyncio.TaskGroup() as callers:
        for name in range(40):
            callers.create_task(line.call(name))
            await asyncio.sleep(0.0625)
    assert line.names == list(range(40))


async def test_a_refusal_shuts_the_gate_for_the_servers_own_time_and_keeps_the_order() -> None:
    limiter = FixedLimiter(workers=10, qps=None)
    ticket = await limiter.acquire(COST, lambda: True)
    assert ticket is not None
    limiter.settle(ticket, refused(retry_after_s=17.25))
    line = Line(limiter)
    await asyncio.gather(*[line.call(name) for name in range(10)])
    assert line.times == [17.25] * 10
    assert line.names == list(range(10))


async def test_a_refusal_while_others_wait_for_the_pace_holds_them_too() -> None:
    limiter = FixedLimiter(workers=10, qps=1)
    ticket = await limiter.acquire(COST, lambda: True)
    assert ticket is not None
    line = Line(limiter)
    callers = asyncio.gather(*[line.call(name) for name in range(3)])
    await asyncio.sleep(0.5)
    limiter.settle(ticket, refused(retry_after_s=20))
    await callers
    assert min(line.times) >= 20.5
    assert line.names == [0, 1, 2]


async def test_who_is_not_wanted_is_turned_away_and_leaves_its_slot() -> None:
    limiter = FixedLimiter(workers=1, qps=None)
    assert await limiter.acquire(COST, lambda: False) is None
    assert await limiter.acquire(COST, lambda: True) is not None


async def test_waking_turns_everybody_at_the_gate_away_at_once() -> None:
    limiter = FixedLimiter(workers=10, qps=1)
    ticket = await limiter.acquire(COST, lambda: True)
    assert ticket is not None
    limiter.settle(ticket, refused(retry_after_s=600))
    line = Line(limiter)
    callers = asyncio.gather(*[line.call(name) for name in range(8)])
    await asyncio.sleep(1)
    line.wanted = False
    limiter.wake()
    await callers
    assert sorted(line.turned_away) == list(range(8))
    assert now() == 1


async def test_those_behind_the_workers_bound_are_turned_away_when_a_slot_frees() -> None:
    limiter = FixedLimiter(workers=1, qps=None)
    ticket = await limiter.acquire(COST, lambda: True)
    assert ticket is not None
    line = Line(limiter)
    callers = asyncio.gather(*[line.call(name) for name in range(5)])
    await asyncio.sleep(1)
    line.wanted = False
    limiter.settle(ticket, DONE)
    await callers
    assert line.turned_away == list(range(5))


@pytest.mark.parametrize("cancel_at", [0.5, 1.0, 5.0, 9.0])
async def test_cancelled_waiters_leave_no_trace_wherever_they_wait(cancel_at: float) -> None:
    limiter = FixedLimiter(workers=2, qps=1)
    ticket = await limiter.acquire(COST, lambda: True)
    assert ticket is not None
    limiter.settle(ticket, refused(retry_after_s=5))
    line = Line(limiter)
    doomed = [asyncio.create_task(line.call(name, holds_s=2)) for name in range(6)]
    await asyncio.sleep(cancel_at)
    for caller in doomed:
        caller.cancel()
    await asyncio.wait(doomed)
    held = limiter.snapshot()["in_flight"]
    assert isinstance(held, int)
    for _ in range(held):  # those that were cancelled while they held a ticket, which is theirs to give back
        limiter.settle(0, Settled("cancelled", 0.0))
    line.went.clear()
    await asyncio.wait_for(asyncio.gather(*[line.call(name) for name in range(6)]), 60)
    assert line.names == list(range(6))
    assert limiter.snapshot()["in_flight"] == 0


async def test_the_gate_says_when_it_opens() -> None:
    limiter = FixedLimiter(workers=1, qps=None)
    assert limiter.opens_at() <= now()
    ticket = await limiter.acquire(COST, lambda: True)
    assert ticket is not None
    limiter.settle(ticket, refused(retry_after_s=3))
    assert limiter.opens_at() == 3


@pytest.mark.parametrize("qps", [None, 4.0])
async def test_who_goes_ahead_is_served_before_all_who_wait(qps: float | None) -> None:
    limiter = FixedLimiter(workers=1, qps=qps)
    ticket = await limiter.acquire(COST, lambda: True)
    assert ticket is not None
    went: list[str] = []

    async def caller(name: str) -> None:
        ticket = await limiter.acquire(COST, lambda: True, ahead=name.isupper())
        assert ticket is not None
        went.append(name)
        await asyncio.sleep(1)
        limiter.settle(ticket, DONE)

    async with asyncio.TaskGroup() as callers:
        for name in "abAcB":
            callers.create_task(caller(name))
            await asyncio.sleep(1)
        limiter.settle(ticket, DONE)
    assert "".join(went) == "ABabc"


async def test_who_keeps_the_pace_already_is_not_overtaken_and_nobody_is_forgotten() -> None:
    limiter = FixedLimiter(workers=10, qps=1)
    line = Line(limiter)
    async with asyncio.TaskGroup() as callers:
        for name in range(3):
            callers.create_task(line.call(name))
        await asyncio.sleep(0.5)
        ahead = callers.create_task(limiter.acquire(COST, lambda: True, ahead=True))
    assert ahead.result() is not None
    assert line.times == pytest.approx([0, 1, 3], abs=0.001)
