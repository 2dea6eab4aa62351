"""What is reserved, what is committed, which requests wait for room, and when a limit is reached."""

from __future__ import annotations

import asyncio

import pytest

from providers.errors import StorageError, Unreachable
from providers.messages import Usage
from runners.calls.budget import NOTHING, Budget, BudgetLimits, BudgetListeners, BudgetShare, LimitReached, Spending
from runners.limits.permit import Cost
from tests.unit.runners.doubles import empty, evidence, malformed, server_fault, throttled, timed_out

pytestmark = pytest.mark.looptime

COST = Cost(input_tokens=10, max_output_tokens=90)


class Desk:
    """A budget, and the notifications that it has sent."""

    def __init__(self, bounds: BudgetLimits, before: Spending = NOTHING) -> None:
        self.near: list[BudgetShare] = []
        self.reached: list[str] = []
        self.budget = Budget(_a_cent_a_token, bounds, before, BudgetListeners(self.near.append, self.reached.append))

    async def request(self, used: int, takes_s: float = 1.0) -> None:
        reserved = await self.budget.reserve("m", COST)
        await asyncio.sleep(takes_s)
        self.budget.commit("m", reserved, Usage(10, used - 10))


def _a_cent_a_token(model: str, usage: Usage) -> float:
    return 0.01 * (usage.input_tokens + usage.output_tokens)


async def test_without_a_limit_nothing_waits_and_everything_is_committed() -> None:
    desk = Desk(BudgetLimits())
    await asyncio.gather(*(desk.request(50) for _ in range(100)))
    assert (desk.budget.spent.tokens, round(desk.budget.spent.cost_usd, 6)) == (5000, 50)
    assert (desk.near, desk.reached) == ([], [])


@pytest.mark.parametrize("bounds", [BudgetLimits(tokens=1000), BudgetLimits(cost_usd=10.0)], ids=["tokens", "cost"])
async def test_what_is_in_flight_never_adds_up_to_more_than_the_limit(bounds: BudgetLimits) -> None:
    desk = Desk(bounds)
    ended = await asyncio.gather(*(desk.request(100) for _ in range(50)), return_exceptions=True)
    assert desk.budget.spent.tokens == 1000
    assert [type(one) for one in ended] == [type(None)] * 10 + [LimitReached] * 40
    assert len(desk.reached) == 1


async def test_who_does_not_fit_waits_for_others_to_take_less_than_was_reserved() -> None:
    desk = Desk(BudgetLimits(tokens=310))
    await asyncio.gather(*(desk.request(20) for _ in range(6)))
    assert desk.budget.spent.tokens == 120
    assert asyncio.get_running_loop().time() == 3, "three, two and one at a time: 100 are reserved for each"
    assert desk.reached == []


async def test_first_come_first_served() -> None:
    desk, order = Desk(BudgetLimits(tokens=150)), list[str]()

    async def named(name: str, cost: Cost) -> None:
        reserved = await desk.budget.reserve("m", cost)
        order.append(name)
        await asyncio.sleep(1)
        desk.budget.commit("m", reserved, Usage(1, 1))

    await asyncio.gather(named("a", COST), named("large", Cost(10, 130)), named("small", Cost(1, 1)))
    assert order == ["a", "large", "small"]


async def test_the_reason_has_the_figures() -> None:
    desk = Desk(BudgetLimits(tokens=1250))
    for _ in range(12):
        await desk.request(100)
    with pytest.raises(LimitReached) as caught:
        await desk.request(100)
    sentence = (
        "the token limit is reached: 1,200 of 1,250 tokens are spent, and the next request may take 100; "
        "resume with a larger limit (run.token_limit, --token-limit)"
    )
    assert str(caught.value) == sentence
    assert desk.reached == [sentence]
    with pytest.raises(LimitReached):
        await desk.budget.reserve("m", Cost(1, 1))
    assert desk.reached == [sentence], "said once, and nothing slips through behind it"


async def test_what_was_spent_before_counts() -> None:
    desk = Desk(BudgetLimits(tokens=1000, cost_usd=5.0), before=Spending(0, 4.95))
    with pytest.raises(
        LimitReached, match=r"the cost limit is reached: 4.95 of 5 USD are spent, and the next request may take 1"
    ):
        await desk.request(100)


async def test_a_limit_that_is_near_is_told_once() -> None:
    desk = Desk(BudgetLimits(tokens=1000))
    for _ in range(10):
        await desk.request(100)
    assert [str(share) for share in desk.near] == ["900 of 1,000 tokens"]


async def test_who_is_cancelled_gives_its_room_to_the_next() -> None:
    desk = Desk(BudgetLimits(tokens=120))
    first = asyncio.create_task(desk.request(10, takes_s=10))
    waiting = asyncio.create_task(desk.request(10))
    last = asyncio.create_task(desk.request(10))
    await asyncio.sleep(1)
    waiting.cancel()
    await asyncio.wait([waiting, first, last])
    assert waiting.cancelled()
    assert last.exception() is None
    assert desk.budget.spent.tokens == 20


async def test_who_is_cancelled_at_the_moment_of_its_admission_gives_its_room_back() -> None:
    desk = Desk(BudgetLimits(tokens=100))
    reserved = await desk.budget.reserve("m", COST)
    waiting, last = asyncio.create_task(desk.request(10)), asyncio.create_task(desk.request(10))
    await asyncio.sleep(1)
    desk.budget.commit("m", reserved, None)  # admits `waiting`
    waiting.cancel()
    await asyncio.wait([waiting, last])
    assert (waiting.cancelled(), last.exception()) == (True, None)


async def test_who_is_cancelled_just_before_its_turn_is_passed_over() -> None:
    desk = Desk(BudgetLimits(tokens=100))
    reserved = await desk.budget.reserve("m", COST)
    waiting, last = asyncio.create_task(desk.request(10)), asyncio.create_task(desk.request(10))
    await asyncio.sleep(1)
    waiting.cancel()
    desk.budget.commit("m", reserved, None)
    await asyncio.wait([waiting, last])
    assert (waiting.cancelled(), last.exception()) == (True, None)


async def test_failures_that_the_server_bills_are_spent_and_silent_ones_are_counted() -> None:
    desk = Desk(BudgetLimits(tokens=1000))
    unreachable = Unreachable("refused", evidence())
    for error in (
        empty(),
        malformed(),
        timed_out(),
        timed_out(stage="connect"),
        server_fault(),
        throttled(),
        unreachable,
    ):
        desk.budget.commit_failed("m", await desk.budget.reserve("m", COST), error)
    assert desk.budget.spent.tokens == 10 + 2 * 100, (
        "the empty answer says what it cost, the two below keep their estimate"
    )
    assert desk.budget.unanswered == 2, "the damaged answer and the one that did not come"


async def test_requests_that_are_never_answered_use_up_a_limit() -> None:
    desk = Desk(BudgetLimits(tokens=1000))
    for _ in range(10):
        desk.budget.commit_failed("m", await desk.budget.reserve("m", COST), timed_out(stage="attempt"))
    with pytest.raises(LimitReached):
        await desk.budget.reserve("m", COST)
    assert (desk.budget.spent.tokens, desk.budget.unanswered) == (1000, 10)


# ------------------------------------------------------------------ the ledger
class SlowLedger:
    """A disk that takes a second for each ceiling, or fails."""

    def __init__(self, *, fails: bool = False) -> None:
        self.presumed = Spending(30)
        self.ceilings: list[int] = []
        self._fails = fails

    async def reserve(self, ceiling: Spending) -> None:
        await asyncio.sleep(1)
        if self._fails:
            raise StorageError("the disk is full")
        self.ceilings.append(ceiling.tokens)


def with_ledger(ledger: SlowLedger, limit: int) -> Budget:
    return Budget(bounds=BudgetLimits(tokens=limit), ledger=ledger)


async def test_nothing_is_sent_before_its_ceiling_is_on_disk_and_a_burst_takes_two() -> None:
    ledger = SlowLedger()
    budget = with_ledger(ledger, 256_000)

    async def send() -> None:
        await budget.reserve("m", COST)
        assert budget.spent.tokens + 100 <= ledger.ceilings[-1]

    await asyncio.gather(*(send() for _ in range(1000)))
    assert ledger.ceilings == [1_100, 101_000], "a block of 1,000 above what was reserved"
    assert asyncio.get_running_loop().time() == 2


async def test_the_ledger_is_written_a_bounded_number_of_times_and_never_above_the_limit() -> None:
    ledger = SlowLedger()
    budget = with_ledger(ledger, 100_000)
    for _ in range(1000):
        budget.commit("m", await budget.reserve("m", COST), Usage(10, 90))
    assert budget.spent.tokens == 100_000
    assert len(ledger.ceilings) <= 256
    assert ledger.ceilings[-1] == 100_000
    with pytest.raises(
        LimitReached, match=r"spent \(30 of them are possibly billed: killed executions had reserved them\)"
    ):
        await budget.reserve("m", COST)


async def test_a_request_whose_ceiling_cannot_be_written_is_not_sent_and_reserves_nothing() -> None:
    budget = with_ledger(SlowLedger(fails=True), 100)
    with pytest.raises(StorageError, match="the disk is full"):
        await budget.reserve("m", COST)
    cancelled = asyncio.create_task(budget.reserve("m", COST))
    await asyncio.sleep(0.5)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    with pytest.raises(StorageError):  # and not LimitReached: the room is free again
        await budget.reserve("m", COST)


async def test_without_a_limit_the_ledger_is_not_asked() -> None:
    ledger = SlowLedger()
    budget = Budget(ledger=ledger)
    budget.commit("m", await budget.reserve("m", COST), Usage(10, 40))
    assert ledger.ceilings == []
