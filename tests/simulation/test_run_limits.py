"""What bounds a whole run, on a virtual clock: its spending, its retries, and requests that no server can take."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse, Usage
from runners.calls.budget import Budget, BudgetLimits, BudgetListeners
from runners.calls.call_context import Deadlines
from runners.calls.retry import FREE_RETRIES, RetryBudget
from tests.simulation.test_whole_stages import MODES, Park, Server, Stage, carried_out
from tests.unit.runners.doubles import a_response, an_exchange, server_fault, timed_out


@dataclass
class Ailing(Server):
    """Fails with 500 on some samples always, on everything at times, and now and then."""

    poison: frozenset[str] = frozenset()
    broken: tuple[float, float] = (0.0, 0.0)
    errors: float = 0.0
    asked: dict[str, int] = field(default_factory=dict)

    async def answer(self, name: str, request_id: str) -> ChatResponse:
        sample, now = request_id.partition("/")[0], asyncio.get_running_loop().time()
        self.asked[sample] = self.asked.get(sample, 0) + 1
        chance = random.Random(f"{name}/{request_id}/error")
        if sample in self.poison or self.broken[0] <= now < self.broken[1] or chance.random() < self.errors:
            await asyncio.sleep(0.5 + chance.random())
            raise server_fault(name)
        return await super().answer(name, request_id)


@pytest.fixture(params=list(MODES))
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def messages(stage: Stage) -> dict[str, str]:
    return {
        record.sample_id: str(record.error_message) for record in stage.records if record.outcome == "infra_failure"
    }


def test_poison_is_parked_early_and_nothing_else_is(mode: str) -> None:
    async def scene() -> None:
        poison = frozenset(f"s{ordinal}" for ordinal in range(1500, 2000, 50))
        park = Park(a=Ailing(poison=poison), b=Ailing(poison=poison))
        stage = Stage(2000, mode, park)
        await stage.run()
        told = messages(stage)
        assert set(told) == poison
        assert all("the same failure on two instances that answer others" in message for message in told.values())
        assert {record.error_class for record in stage.records if record.sample_id in poison} == {"server_error"}
        asked = [sum(server.asked.get(one, 0) for server in park.servers.values()) for one in poison]  # type: ignore[attr-defined]
        assert max(asked) <= 4, "of six attempts"

    carried_out(scene)


def test_an_outage_of_the_whole_endpoint_poisons_nothing(mode: str) -> None:
    async def scene() -> None:
        park = Park(a=Ailing(broken=(30.0, 200.0)), b=Ailing(broken=(30.0, 200.0)))
        stage = Stage(1000, mode, park)
        await stage.run()
        assert sorted(stage.ordinals) == list(range(1000))
        assert not [message for message in messages(stage).values() if "two instances" in message]
        assert stage.outcomes["ok"] >= 980

    carried_out(scene)


def test_bad_luck_is_no_poison(mode: str) -> None:
    async def scene() -> None:
        stage = Stage(2000, mode, Park(a=Ailing(errors=0.2), b=Ailing(errors=0.2)))
        await stage.run()
        assert stage.outcomes["ok"] == 2000
        assert messages(stage) == {}

    carried_out(scene)


@pytest.mark.matrix
@pytest.mark.parametrize("share", [0.0, 0.1])
def test_retries_stay_within_their_share_of_the_calls(mode: str, share: float) -> None:
    async def scene() -> None:
        told: list[str] = []
        budget = RetryBudget(share, on_spent=told.append)
        stage = Stage(3000, mode, Park(a=Ailing(errors=0.4), b=Ailing(errors=0.4)))
        stage.call_context = an_exchange(stage.dispatcher, retry_budget=budget)
        await stage.run()
        assert sorted(stage.ordinals) == list(range(3000))
        retries = sum(record.attempts - 1 for record in stage.records)
        assert retries == budget.retries <= FREE_RETRIES + share * 3000
        assert len(told) == 1
        given_up = [message for message in messages(stage).values() if "retry budget is used up" in message]
        assert len(given_up) == budget.refused > 0

    carried_out(scene)


class Metered(Park):
    """Bills what it likes up to max_tokens; counts as a provider's bill would."""

    def __init__(self, *, longer: float = 1.0, **servers: Server) -> None:
        super().__init__(**servers)
        self.billed = 0
        self.timeouts = 0
        self._longer = longer  # the input against its estimate

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        chance = random.Random(f"{request_id}/tokens")
        if chance.random() < 0.05:
            await asyncio.sleep(5)
            self.timeouts += 1
            raise timed_out(on.name)
        answered = await super().complete(on, request, request_id=request_id, deadline=deadline)
        usage = Usage(round(7 * self._longer), chance.randint(1, 100))
        self.billed += usage.input_tokens + usage.output_tokens
        return a_response(answered.text, usage=usage)


@pytest.mark.parametrize("limit", [300, 2_000, 20_000])
def test_a_limit_on_tokens_is_used_up_and_never_overrun(mode: str, limit: int) -> None:
    async def scene() -> None:
        park = Metered(a=Server(), b=Server())
        stage = Stage(2000, mode, park)
        listeners = BudgetListeners(on_reached=stage.shutdown.drain)
        budget = Budget(bounds=BudgetLimits(tokens=limit), listeners=listeners)
        stage.call_context = an_exchange(stage.dispatcher, budget=budget, deadlines=Deadlines(60, 3600), max_tokens=100)
        await stage.run()
        assert park.billed + 100 * park.timeouts <= budget.spent.tokens <= limit
        assert budget.spent.tokens > limit - 110, "what is left would not have done for another request"
        assert set(stage.outcomes) == {"ok"}
        assert 0 < len(stage.records) < 2000
        assert stage.shutdown.reason.startswith(
            f"the token limit is reached: {budget.spent.tokens:,} of {limit:,} tokens"
        )
        assert budget.unanswered == park.timeouts

    carried_out(scene)


def test_an_overrun_is_no_more_than_what_the_inputs_in_flight_were_underestimated(mode: str) -> None:
    async def scene() -> None:
        park = Metered(longer=3.0, a=Server(), b=Server())
        stage = Stage(2000, mode, park)
        budget = Budget(bounds=BudgetLimits(tokens=2000), listeners=BudgetListeners(on_reached=stage.shutdown.drain))
        stage.call_context = an_exchange(stage.dispatcher, budget=budget, max_tokens=100)
        await stage.run()
        assert park.billed <= 2000 + 20 * 14, "twenty in flight, each 14 tokens longer than thought"

    carried_out(scene)
