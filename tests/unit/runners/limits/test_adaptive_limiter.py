"""The async wrapper of a pure state: it waits as it is told, wakes for every event, and keeps the order of arrival."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from providers.messages import JSON
from runners.limits.adaptive_limiter import AdaptiveLimiter
from runners.limits.permit import Cost, Go, Settled, WaitForEvent, WaitUntil
from tests.unit.runners.doubles import COST

pytestmark = pytest.mark.looptime

DONE = Settled("succeeded", 0.1)


def now() -> float:
    return asyncio.get_running_loop().time()


class Turnstile:
    """A state that lets one through at a time, and nobody before `opens`."""

    def __init__(self, opens: float = 0.0) -> None:
        self.opens = opens
        self.asked = 0
        self.in_flight: set[int] = set()
        self.settled: list[int] = []
        self._ticket = 0

    def acquire(self, cost: Cost, now: float) -> Go | WaitUntil | WaitForEvent:
        self.asked += 1
        if now < self.opens:
            return WaitUntil(self.opens)
        if self.in_flight:
            return WaitForEvent()
        self._ticket += 1
        self.in_flight.add(self._ticket)
        return Go(self._ticket)

    def settle(self, ticket: int, settled: Settled, now: float) -> None:
        self.in_flight.remove(ticket)
        self.settled.append(ticket)

    def opens_at(self, now: float) -> float | None:
        return self.opens if now < self.opens or not self.in_flight else None

    def shut_until(self, now: float) -> float:
        return self.opens

    def time_under(self, now: float) -> Mapping[str, float]:
        return {}

    @property
    def experience(self) -> float:
        return float(len(self.settled))

    def accepted(self, after: float, until: float) -> Sequence[float]:
        return (0.0, 0.0, 0.0, 0.0)

    def absorb(self, other: Turnstile, now: float) -> None:
        self.opens = max(self.opens, other.opens)

    def tilt(self, share: float, until: float, now: float) -> None:
        pass

    def snapshot(self, now: float) -> Mapping[str, JSON]:
        return {"gate_until": self.opens}

    def export(self) -> Mapping[str, JSON]:
        return {}


async def test_waits_until_the_time_it_is_told_and_asks_no_more_often() -> None:
    state = Turnstile(opens=42.5)
    assert await AdaptiveLimiter(state).acquire(COST, lambda: True) == 1
    assert now() == 42.5
    assert state.asked == 2


async def test_every_settlement_lets_the_head_of_the_line_ask_again() -> None:
    limiter = AdaptiveLimiter(Turnstile())
    went: list[tuple[int, float]] = []

    async def caller(name: int) -> None:
        ticket = await limiter.acquire(COST, lambda: True)
        assert ticket is not None
        went.append((name, now()))
        await asyncio.sleep(2)
        limiter.settle(ticket, DONE)

    await asyncio.gather(*[caller(name) for name in range(20)])
    assert went == [(name, 2.0 * name) for name in range(20)]


async def test_only_the_head_asks_however_many_wait() -> None:
    state = Turnstile(opens=10)
    limiter = AdaptiveLimiter(state)
    callers = [asyncio.create_task(limiter.acquire(COST, lambda: True)) for _ in range(50)]
    await asyncio.sleep(5)
    assert state.asked == 1
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)


async def test_waking_turns_away_everybody_who_is_not_wanted_any_more() -> None:
    limiter = AdaptiveLimiter(Turnstile(opens=1000))
    wanted = True
    callers = asyncio.gather(*[limiter.acquire(COST, lambda: wanted) for _ in range(20)])
    await asyncio.sleep(3)
    wanted = False
    limiter.wake()
    assert await callers == [None] * 20
    assert now() == 3


async def test_a_cancelled_head_hands_the_line_to_the_next() -> None:
    state = Turnstile()
    limiter = AdaptiveLimiter(state)
    first = await limiter.acquire(COST, lambda: True)
    assert first is not None
    head = asyncio.create_task(limiter.acquire(COST, lambda: True))
    second = asyncio.create_task(limiter.acquire(COST, lambda: True))
    await asyncio.sleep(1)
    head.cancel()
    limiter.settle(first, DONE)  # in the same instant
    assert await second is not None
    assert len(state.in_flight) == 1


async def test_no_ticket_is_lost_when_deadline_and_settlement_fall_together() -> None:
    """Whoever gets the ticket has it; whoever times out took none."""
    state = Turnstile()
    limiter = AdaptiveLimiter(state)
    held = 0

    async def caller(holds_s: float, patience_s: float) -> None:
        nonlocal held
        try:
            async with asyncio.timeout(patience_s):
                ticket = await limiter.acquire(COST, lambda: True)
        except TimeoutError:
            return
        assert ticket is not None
        held += 1
        await asyncio.sleep(holds_s)
        limiter.settle(ticket, DONE)

    await asyncio.gather(*[caller(2, 2.0 * number) for number in range(1, 40)])
    assert state.in_flight == set()
    assert len(state.settled) == held >= 2


async def test_who_goes_ahead_is_served_before_all_who_wait_and_in_the_order_of_arrival() -> None:
    limiter = AdaptiveLimiter(Turnstile(opens=10))
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
    assert "".join(went) == "ABabc"


async def test_who_was_overtaken_is_served_when_the_one_ahead_gives_up() -> None:
    limiter = AdaptiveLimiter(Turnstile(opens=10))
    behind = asyncio.create_task(limiter.acquire(COST, lambda: True))
    await asyncio.sleep(1)
    ahead = asyncio.create_task(limiter.acquire(COST, lambda: True, ahead=True))
    await asyncio.sleep(11)
    assert await ahead is not None
    limiter.settle(1, DONE)
    assert await behind is not None
    third = asyncio.create_task(limiter.acquire(COST, lambda: True))
    await asyncio.sleep(1)
    fourth = asyncio.create_task(limiter.acquire(COST, lambda: True, ahead=True))
    await asyncio.sleep(1)
    fourth.cancel()
    limiter.settle(2, DONE)
    assert await third is not None


async def test_says_when_it_opens_and_how_it_stands() -> None:
    limiter = AdaptiveLimiter(Turnstile(opens=5.0))
    assert limiter.opens_at() == 5
    assert limiter.snapshot()["gate_until"] == 5
