"""Fixed mode on virtual time: the workers bound, the pace, the gate, and the order of arrival."""

from __future__ import annotations

import asyncio

import pytest

from providers.messages import RateLimitHint
from runners.limits.fixed import FixedLimiter
from runners.limits.permit import TICK_S, Settled
from runners.limits.refusal_chance import CHANCE_TRIALS
from tests.unit.runners.doubles import COST
from tests.unit.runners.limits.callers import DONE, Callers, now

pytestmark = pytest.mark.looptime


def refused(retry_after_s: float | None = None) -> Settled:
    return Settled("throttled", 0.1, hint=RateLimitHint(retry_after_s=retry_after_s))


async def refuse(callers: Callers, retry_after_s: float) -> None:
    """Refuse one request and the trials that follow it: the refusal is no chance."""
    for _ in range(1 + CHANCE_TRIALS):
        callers.end(await callers.take(), refused(retry_after_s))


def in_order(count: int) -> list[str]:
    return [str(name) for name in range(count)]


async def test_never_more_than_workers_are_in_flight() -> None:
    limiter = FixedLimiter(workers=3, qps=None)
    callers = Callers(limiter)
    await asyncio.gather(*[callers.call(name, holds_s=10) for name in range(9)])
    assert callers.times == [0, 0, 0, 10, 10, 10, 20, 20, 20]
    assert limiter.snapshot(now())["in_flight"] == 0


@pytest.mark.parametrize("qps", [4, 3, 0.7, 150])
async def test_sends_are_one_over_qps_apart_from_the_first_on(qps: float) -> None:
    callers = Callers(FixedLimiter(workers=100, qps=qps))
    await asyncio.gather(*[callers.call(name) for name in range(20)])
    assert callers.times == pytest.approx([number / qps for number in range(20)], abs=0.0001)


@pytest.mark.parametrize("qps", [2_000, 5_000])
async def test_a_rate_above_the_timers_tick_is_held_exactly(qps: float) -> None:
    callers = Callers(FixedLimiter(workers=10_000, qps=qps))
    await asyncio.gather(*[callers.call(name) for name in range(1_000)])
    assert now() == pytest.approx(999 / qps, abs=2 * TICK_S)
    assert all(at >= number / qps - TICK_S - 1e-6 for number, at in enumerate(callers.times))


async def test_a_send_within_the_tick_goes_now_and_does_not_move_the_next() -> None:
    limiter = FixedLimiter(workers=100, qps=4)
    for due in (0.0, 0.25, 0.5, 0.75):
        await asyncio.sleep(max(0.0, due - 0.01 - now()))
        assert limiter.try_acquire(COST, now()) is None or due == 0
        await asyncio.sleep(max(0.0, due - 0.001 - now()))
        assert limiter.opens_at(COST, now()) == (now() if due else 0.25)
        assert (limiter.try_acquire(COST, now()) is not None) == (due > 0)
        assert limiter.opens_at(COST, now()) == pytest.approx(due + 0.25)


async def test_an_idle_hour_earns_no_burst() -> None:
    callers = Callers(FixedLimiter(workers=100, qps=2))
    await callers.call(0)
    await asyncio.sleep(3600)
    await asyncio.gather(*[callers.call(name) for name in range(3)])
    assert callers.times[1:] == pytest.approx([3600, 3600.5, 3601], abs=0.001)


@pytest.mark.parametrize("qps", [None, 4.0, 64.0])
async def test_first_come_first_served(qps: float | None) -> None:
    callers = Callers(FixedLimiter(workers=4, qps=qps))
    await asyncio.gather(*[callers.call(name, holds_s=1) for name in range(30)])
    assert callers.names == in_order(30)


async def test_arrivals_while_others_wait_for_the_pace_do_not_overtake_them() -> None:
    callers = Callers(FixedLimiter(workers=50, qps=8))
    async with asyncio.TaskGroup() as group:
        for name in range(40):
            group.create_task(callers.call(name))
            await asyncio.sleep(0.0625)
    assert callers.names == in_order(40)


async def test_a_refusal_shuts_the_gate_for_the_servers_own_time_and_keeps_the_order() -> None:
    callers = Callers(FixedLimiter(workers=10, qps=None))
    await refuse(callers, 17.25)
    await asyncio.gather(*[callers.call(name) for name in range(10)])
    assert callers.times == [17.25] * 10
    assert callers.names == in_order(10)


async def test_a_refusal_while_others_wait_for_the_pace_holds_them_too() -> None:
    callers = Callers(FixedLimiter(workers=10, qps=1))
    permit = await callers.take()
    waiting = asyncio.gather(*[callers.call(name) for name in range(3)])
    await asyncio.sleep(0.5)
    callers.end(permit, refused(retry_after_s=0.7))  # too short for a trial
    await waiting
    assert min(callers.times) >= 1.2
    assert callers.names == in_order(3)


@pytest.mark.parametrize("is_at_the_gate", [True, False])
async def test_a_drain_turns_everybody_away_at_once_wherever_they_wait(*, is_at_the_gate: bool) -> None:
    callers = Callers(FixedLimiter(workers=1, qps=1))
    permit = await callers.take()
    if is_at_the_gate:
        callers.end(permit)
        await refuse(callers, 600)
    began_at = now()
    waiting = [asyncio.create_task(callers.call(name)) for name in range(8)]
    await asyncio.sleep(1.5)
    callers.dispatcher.drain()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ends] == 8 * [asyncio.CancelledError]
    assert now() == began_at + 1.5


@pytest.mark.parametrize("cancel_at", [0.5, 1.0, 5.0, 9.0])
async def test_cancelled_waiters_leave_no_trace_wherever_they_wait(cancel_at: float) -> None:
    limiter = FixedLimiter(workers=2, qps=1)
    callers = Callers(limiter)
    callers.end(await callers.take(), refused(retry_after_s=5))
    doomed = [asyncio.create_task(callers.call(name, holds_s=2)) for name in range(6)]
    await asyncio.sleep(cancel_at)
    for caller in doomed:
        caller.cancel()
    await asyncio.wait(doomed)
    assert limiter.snapshot(now())["in_flight"] == 0
    callers.went.clear()
    await asyncio.wait_for(asyncio.gather(*[callers.call(name) for name in range(6)]), 60)
    assert callers.names == in_order(6)
    assert limiter.snapshot(now())["in_flight"] == 0


def test_says_until_when_a_refusal_keeps_it_shut_and_when_it_opens() -> None:
    limiter = FixedLimiter(workers=1, qps=None)
    ticket = limiter.try_acquire(COST, 0.0)
    assert ticket is not None
    assert limiter.shut_until(0.0) == 0
    assert limiter.opens_at(COST, 0.0) is None, "only the end of a request opens it"
    limiter.settle(ticket, refused(retry_after_s=3), 0.0)
    for _ in range(CHANCE_TRIALS):
        assert limiter.shut_until(0.0) == 0, "a trial tests whether it came by chance"
        ticket = limiter.try_acquire(COST, 0.0)
        assert ticket is not None
        limiter.settle(ticket, refused(retry_after_s=3), 0.0)
    assert limiter.shut_until(0.0) == 3
    assert limiter.opens_at(COST, 0.0) == 3
    assert limiter.try_acquire(COST, 2.9) is None
    assert limiter.try_acquire(COST, 3.0) is not None


@pytest.mark.parametrize("qps", [None, 4.0])
async def test_who_goes_ahead_is_served_before_all_who_wait(qps: float | None) -> None:
    callers = Callers(FixedLimiter(workers=1, qps=qps))
    permit = await callers.take()
    async with asyncio.TaskGroup() as group:
        for name in "abAcB":
            group.create_task(callers.call(name, holds_s=1, ahead=name.isupper()))
            await asyncio.sleep(1)
        callers.end(permit, DONE)
    assert "".join(callers.names) == "ABabc"


async def test_who_goes_ahead_is_served_when_the_next_send_is_due_and_nobody_is_forgotten() -> None:
    callers = Callers(FixedLimiter(workers=10, qps=1))
    async with asyncio.TaskGroup() as group:
        for name in range(3):
            group.create_task(callers.call(name))
        await asyncio.sleep(0.5)
        group.create_task(callers.call("ahead", ahead=True))
    assert callers.names == ["0", "ahead", "1", "2"]
    assert callers.times == pytest.approx([0, 1, 2, 3], abs=0.001)
