"""The adaptive limiter: it asks a pure state, remembers its last refusal, and those who wait are served in the order of arrival."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from providers.messages import JSON
from runners.limits.adaptive_limiter import AdaptiveLimiter
from runners.limits.permit import Cost, Go, Settled, WaitForEvent, WaitUntil
from tests.unit.runners.doubles import COST
from tests.unit.runners.limits.callers import DONE, Callers, now

pytestmark = pytest.mark.looptime


class Turnstile:
    """A state that lets one through at a time, and nobody before `opens`."""

    sends_others = False

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

    def settle_doubts(self) -> None:
        pass

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


async def test_a_caller_waits_until_the_time_that_the_state_names_and_asks_no_more_often() -> None:
    state = Turnstile(opens=42.5)
    await Callers(AdaptiveLimiter(state)).take()
    assert now() == 42.5
    assert state.asked == 2


async def test_every_settlement_lets_the_first_that_waits_go() -> None:
    callers = Callers(AdaptiveLimiter(Turnstile()))
    await asyncio.gather(*[callers.call(name, holds_s=2) for name in range(20)])
    assert callers.went == [(str(name), 2.0 * name) for name in range(20)]


async def test_a_state_that_is_shut_is_asked_once_however_many_wait() -> None:
    state = Turnstile(opens=10)
    callers = Callers(AdaptiveLimiter(state))
    waiting = [asyncio.create_task(callers.take()) for _ in range(50)]
    await asyncio.sleep(5)
    assert state.asked == 1
    for caller in waiting:
        caller.cancel()
    await asyncio.wait(waiting)


async def test_a_cancelled_first_lets_the_next_go() -> None:
    state = Turnstile()
    callers = Callers(AdaptiveLimiter(state))
    permit = await callers.take()
    first, second = (asyncio.create_task(callers.take()) for _ in range(2))
    await asyncio.sleep(1)
    first.cancel()
    callers.end(permit)  # in the same instant
    await second
    assert len(state.in_flight) == 1


async def test_no_ticket_is_lost_when_deadline_and_settlement_fall_together() -> None:
    """Whoever gets the ticket has it; whoever times out took none."""
    state = Turnstile()
    callers = Callers(AdaptiveLimiter(state))
    held = 0

    async def caller(holds_s: float, patience_s: float) -> None:
        nonlocal held
        try:
            permit = await callers.take(patience_s=patience_s)
        except TimeoutError:
            return
        held += 1
        await asyncio.sleep(holds_s)
        callers.end(permit)

    await asyncio.gather(*[caller(2, 2.0 * number) for number in range(1, 40)])
    assert state.in_flight == set()
    assert len(state.settled) == held >= 2


async def test_who_goes_ahead_is_served_before_all_who_wait_and_in_the_order_of_arrival() -> None:
    callers = Callers(AdaptiveLimiter(Turnstile(opens=10)))
    async with asyncio.TaskGroup() as group:
        for name in "abAcB":
            group.create_task(callers.call(name, holds_s=1, ahead=name.isupper()))
            await asyncio.sleep(1)
    assert "".join(callers.names) == "ABabc"


async def test_who_was_overtaken_is_served_when_the_one_ahead_gives_up() -> None:
    callers = Callers(AdaptiveLimiter(Turnstile()))
    permit = await callers.take()
    behind = asyncio.create_task(callers.take())
    await asyncio.sleep(1)
    ahead = asyncio.create_task(callers.take(ahead=True))
    await asyncio.sleep(1)
    ahead.cancel()
    callers.end(permit)
    assert (await behind).instance.name == "a"


class ToldState:
    """A state that answers as it is told, and counts the questions that cost something."""

    def __init__(self, answer: Go | WaitUntil | WaitForEvent, opens_at: float | None) -> None:
        self.answer = answer
        self.at = opens_at
        self.asked = 0

    def acquire(self, cost: Cost, now: float) -> Go | WaitUntil | WaitForEvent:
        self.asked += 1
        return self.answer

    def opens_at(self, now: float) -> float | None:
        return self.at

    def settle(self, ticket: int, settled: Settled, now: float) -> None:
        """Nothing changes."""


def test_a_refusal_is_remembered_for_its_cost_until_an_event_or_its_time() -> None:
    limiter = AdaptiveLimiter(ToldState(WaitUntil(8.0), opens_at=3.0))  # type: ignore[arg-type]
    assert limiter.opens_at(COST, 1.0) == 3, "nothing was asked yet: the bound for any cost"
    assert limiter.try_acquire(COST, 3.0) is None
    assert limiter.opens_at(COST, 4.0) == 8
    assert limiter.opens_at(Cost(1, 1), 4.0) == 3, "a smaller one may fit"
    assert limiter.opens_at(COST, 8.0) == 3, "its time has come"
    limiter.settle(1, DONE, 4.0)
    assert limiter.opens_at(COST, 4.0) == 3, "an event may have changed the answer"


def test_only_an_event_opens_a_limiter_that_is_full() -> None:
    limiter = AdaptiveLimiter(ToldState(WaitForEvent(), opens_at=3.0))  # type: ignore[arg-type]
    assert limiter.try_acquire(COST, 3.0) is None
    assert limiter.opens_at(COST, 4.0) is None


def test_says_when_it_opens_and_how_it_stands() -> None:
    limiter = AdaptiveLimiter(Turnstile(opens=5.0))
    assert limiter.shut_until(0.0) == 5
    assert limiter.opens_at(COST, 0.0) == 5
    assert limiter.snapshot(0.0)["gate_until"] == 5
