"""What a word costs, by the endpoint's own count; and what a purse lets through."""

from __future__ import annotations

import pytest

from orchestrator.capacity.measurement.calibration import calibrate
from orchestrator.capacity.workload.prompts import Lengths, SyntheticPrompts
from providers.errors import Empty, Evidence, ServerFault
from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse, Timing, Usage
from runners.calls.budget import Budget, BudgetLimits
from runners.calls.budgeted_sender import BudgetedSender
from runners.load.run_load import ClosedLoop, LoadGenerator, Target, Volume, run_load

pytestmark = pytest.mark.looptime
BOX = Instance("box/m", "m", "m", "box", "box/m", None, None)
PROMPTS = SyntheticPrompts(Lengths(500, 500), Lengths(10, 10))


class Counter:
    """Counts 1.5 tokens a word and 12 a request; answers with what `how` says."""

    def __init__(self, how: str = "answer") -> None:
        self.how = how
        self.asked = 0

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        self.asked += 1
        words = len(str(request.messages[0]["content"]).split())
        usage = Usage(round(12 + 1.5 * words), 10, estimated=self.how == "counts nothing")
        if self.how == "empty":
            raise Empty("nothing", Evidence(on.name, request_id, 200, usage=usage))
        if self.how == "fault":
            raise ServerFault("broken", Evidence(on.name, request_id, 500))
        return ChatResponse("yes", (), "stop", usage, Timing(0.0, 0.0, 0.0), None, "id", "m", None)


@pytest.mark.parametrize("how", ["answer", "empty"])
async def test_prompts_become_as_long_as_the_endpoint_counts_them(how: str) -> None:
    found = await calibrate(PROMPTS, BOX, Counter(how), "t")
    assert found.count.per_word == pytest.approx(1.5, abs=0.01)
    words = len(str(found(0).messages[0]["content"]).split())
    assert 12 + 1.5 * words == pytest.approx(500, abs=2)


@pytest.mark.parametrize("how", ["fault", "counts nothing"])
async def test_prompts_stay_as_they_were_where_nothing_is_counted(how: str) -> None:
    assert await calibrate(PROMPTS, BOX, Counter(how), "t") == PROMPTS


async def test_a_load_stops_at_what_it_may_cost() -> None:
    counter = Counter()
    budget = Budget(lambda _model, usage: usage.output_tokens / 100, BudgetLimits(cost_usd=1.05))
    target = Target(
        [BOX], {"box": BudgetedSender(counter, budget, 10)}, lambda n: ChatRequest(PROMPTS(n).messages), 300
    )
    run = await run_load(LoadGenerator(target, "t"), ClosedLoop(3), Volume(requests=100))
    assert (counter.asked, len(run.results)) == (10, 10)
    assert budget.spent.cost_usd == pytest.approx(1.0)
    assert "the cost limit is reached" in run.gone


async def test_what_failed_is_paid_for_where_the_server_counted_it() -> None:
    budget = Budget(lambda _model, usage: usage.output_tokens / 100, BudgetLimits(cost_usd=10))
    target = Target(
        [BOX], {"box": BudgetedSender(Counter("empty"), budget, 10)}, lambda n: ChatRequest(PROMPTS(n).messages), 300
    )
    run = await run_load(LoadGenerator(target, "t"), ClosedLoop(1), Volume(requests=5))
    assert [result.how for result in run.results] == ["empty"] * 5
    assert budget.spent.cost_usd == pytest.approx(0.5)
