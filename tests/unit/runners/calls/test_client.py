"""What a solver holds: attempts, moves, deadlines, and the account of it all."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import replace

import pytest

from providers.errors import Empty, Refused, Rejected, RequestTooLarge, ServerFault, TimedOut, Unreachable
from providers.instance import Instance
from providers.messages import Adaptation, ChatRequest, ChatResponse, Generation, ToolCall, Usage
from runners.calls.budget import Budget, BudgetLimits, LimitReached, Spending
from runners.calls.call import REFUSALS_AT_MOST, SampleOverdue
from runners.calls.call_context import Asking, CallContext, Deadlines
from runners.calls.client import SampleClient
from runners.calls.retry import FREE_RETRIES, RetryBudget
from runners.dispatch.dispatcher import NoUsableInstance
from runners.limits.adaptive.state import AdaptiveLimits
from runners.limits.adaptive_limiter import AdaptiveLimiter
from tests.unit.runners.doubles import (
    USUAL,
    BareSlot,
    FreeLimiter,
    ScriptedSender,
    Sent,
    Step,
    a_dispatcher,
    a_response,
    a_sample,
    an_exchange,
    an_opened,
    connection_lost,
    empty,
    evidence,
    refused,
    rejections,
    revoked,
    server_fault,
    throttled,
    timed_out,
)
from tests.unit.runners.limits.test_adaptive_limiter import Turnstile

pytestmark = pytest.mark.looptime

HELLO = ({"role": "user", "content": "hello"},)


def now() -> float:
    return asyncio.get_running_loop().time()


class Desk:
    """A client over a scripted sender."""

    def __init__(self, *steps: Step, instances: str = "ab", always: Step | None = None, takes_s: float = 1.0) -> None:
        self.sender = ScriptedSender(*steps, always=always, takes_s=takes_s)
        self.limiters = {name: FreeLimiter() for name in instances}
        self.dispatcher = a_dispatcher(self.sender, *instances, limiters=self.limiters)
        self.slot = BareSlot()
        self.client = self.open(an_exchange(self.dispatcher))

    def open(self, call_context: CallContext) -> SampleClient:
        self.client = SampleClient(call_context, an_opened(), self.slot)
        return self.client

    async def chat(self) -> ChatResponse:
        return await self.client.chat(HELLO)

    @property
    def settled(self) -> list[str]:
        return [how for limiter in self.limiters.values() for how in limiter.settled]


async def test_an_answer_at_once_is_one_attempt_on_the_own_instance() -> None:
    desk = Desk()
    assert (await desk.chat()).text == "fine"
    sample_usage = desk.client.sample_usage
    assert desk.sender.request_ids == ["s0/1/1"]
    assert desk.sender.went_to == ["a"]
    assert (sample_usage.turns, sample_usage.attempts, sample_usage.throttles) == (1, 1, 0)
    assert sample_usage.moved_reason is None
    assert desk.settled == ["succeeded"]


async def test_what_its_own_instance_refuses_waits_for_it_while_the_others_have_work() -> None:
    desk = Desk()
    desk.limiters["a"].opens = 30.0
    assert (await desk.chat()).text == "fine"
    assert desk.sender.went_to == ["a"]
    assert desk.client.sample_usage.rate_wait_s == 30


async def test_a_refused_request_is_sent_again_under_the_same_name() -> None:
    desk = Desk(throttled(), throttled(), instances="a")
    await desk.chat()
    sample_usage = desk.client.sample_usage
    assert desk.sender.request_ids == ["s0/1/1"] * 3
    assert (sample_usage.attempts, sample_usage.throttles) == (1, 2)
    assert desk.slot.parked == []
    assert desk.settled == ["throttled", "throttled", "succeeded"]


async def test_a_lost_instance_is_given_up_and_its_call_goes_to_another() -> None:
    desk = Desk(revoked())
    await desk.chat()
    assert desk.sender.went_to == ["a", "b"]
    assert desk.client.sample_usage.attempts == 1
    assert desk.client.sample_usage.moved_reason == "auth"
    assert not desk.dispatcher.instance_states["a"].is_usable()
    assert desk.settled == ["failed", "succeeded"]


async def test_when_the_last_instance_is_lost_the_call_says_so() -> None:
    desk = Desk(revoked("a"), revoked("b"))
    with pytest.raises(NoUsableInstance):
        await desk.chat()
    assert desk.sender.went_to == ["a", "b"]


async def test_a_transient_failure_is_parked_and_tried_again_with_a_new_name() -> None:
    desk = Desk(server_fault(retry_after_s=3.5), timed_out())
    await desk.chat()
    assert desk.sender.request_ids == ["s0/1/1", "s0/1/2", "s0/1/3"]
    assert desk.sender.went_to == ["a", "a", "a"]
    assert desk.slot.parked[0] == 3.5
    sample_usage = desk.client.sample_usage
    assert sample_usage.attempts == 3
    assert sample_usage.retry_wait_s == pytest.approx(sum(desk.slot.parked), abs=1e-4)


async def test_attempts_are_bounded_and_the_last_error_is_raised() -> None:
    desk = Desk(always=server_fault())
    client = desk.open(an_exchange(desk.dispatcher, max_retries=2))
    with pytest.raises(ServerFault):
        await client.chat(HELLO)
    assert client.sample_usage.attempts == 3
    assert desk.settled == ["failed"] * 3
    assert client.sample_usage.response is None


async def test_without_retries_nothing_is_parked() -> None:
    desk = Desk(always=server_fault())
    client = desk.open(an_exchange(desk.dispatcher, max_retries=0))
    with pytest.raises(ServerFault):
        await client.chat(HELLO)
    assert (client.sample_usage.attempts, desk.slot.parked) == (1, [])


async def test_an_empty_answer_is_asked_for_once_more_on_another_instance() -> None:
    desk = Desk(empty("a"))
    assert (await desk.chat()).text == "fine"
    assert desk.sender.went_to == ["a", "b"]
    assert desk.client.sample_usage.moved_reason == "empty"


async def test_an_answer_that_stays_empty_is_the_models() -> None:
    desk = Desk(empty("a"), empty("b"))
    with pytest.raises(Empty):
        await desk.chat()
    assert desk.sender.went_to == ["a", "b"]


async def test_a_lost_connection_moves_the_attempt() -> None:
    desk = Desk(connection_lost("a"))
    await desk.chat()
    assert desk.sender.went_to == ["a", "b"]
    assert desk.client.sample_usage.moved_reason == "connection"


@pytest.mark.parametrize("error", rejections(), ids=lambda error: type(error).__name__)
async def test_what_is_rejected_is_not_sent_again(error: Rejected) -> None:
    desk = Desk(error)
    with pytest.raises(type(error)):
        await desk.chat()
    assert len(desk.sender.sent) == 1
    assert desk.settled == ["cancelled"]


async def test_an_attempt_ends_at_its_own_deadline_or_at_the_samples() -> None:
    desk = Desk(server_fault(retry_after_s=0.0), takes_s=60.0)
    client = desk.open(an_exchange(desk.dispatcher, deadlines=Deadlines(attempt_s=50, sample_s=100)))
    await client.chat(HELLO)
    assert [sent.deadline for sent in desk.sender.sent] == [50, 100]


async def test_a_sample_whose_deadline_comes_while_it_waits_for_leave_is_overdue() -> None:
    desk = Desk()
    gate = {name: AdaptiveLimiter(Turnstile(opens=500.0)) for name in "ab"}
    dispatcher = a_dispatcher(desk.sender, "a", "b", limiters=gate)
    client = desk.open(an_exchange(dispatcher, deadlines=Deadlines(attempt_s=300, sample_s=20)))
    with pytest.raises(SampleOverdue):
        await client.chat(HELLO)
    assert now() == 20
    assert desk.sender.sent == []


async def test_a_refused_request_waits_alone_where_its_instance_goes_on_sending_others() -> None:
    limits = AdaptiveLimiter(AdaptiveLimits(most=8))
    sender = ScriptedSender(throttled(retry_after_s=4.0), takes_s=0.1)
    dispatcher = a_dispatcher(sender, "a", limiters={"a": limits})
    refused = SampleClient(an_exchange(dispatcher), an_opened(), BareSlot())
    other = SampleClient(an_exchange(dispatcher), an_opened(), BareSlot())
    ends: dict[str, float] = {}

    async def ask(name: str, client: SampleClient, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await client.chat(HELLO)
        ends[name] = now()

    await asyncio.gather(ask("refused", refused, 0.0), ask("other", other, 0.2))
    assert ends["other"] < 2 < 4 < ends["refused"] < 5
    assert len(sender.sent) == 3


async def test_a_refused_request_asks_another_instance_rather_than_wait_alone() -> None:
    limiters = {name: AdaptiveLimiter(AdaptiveLimits(most=8)) for name in "ab"}
    sender = ScriptedSender(throttled("a", retry_after_s=60.0), takes_s=0.1)
    client = SampleClient(an_exchange(a_dispatcher(sender, "a", "b", limiters=limiters)), an_opened(), BareSlot())
    await client.chat(HELLO)
    assert now() < 2


async def test_throttled_without_end_is_overdue_too() -> None:
    limiter = FreeLimiter()

    def refuse(name: str, number: int) -> BaseException:
        limiter.opens = now() + 7
        return throttled()

    sender = ScriptedSender(always=refuse)
    dispatcher = a_dispatcher(sender, "a", limiters={"a": limiter})
    client = SampleClient(
        an_exchange(dispatcher, deadlines=Deadlines(attempt_s=300, sample_s=60)), an_opened(), BareSlot()
    )
    with pytest.raises(SampleOverdue):
        await client.chat(HELLO)
    assert now() == 60
    assert client.sample_usage.attempts == 1
    assert client.sample_usage.throttles == len(sender.sent) == 9


async def test_a_cancelled_call_gives_its_permit_back_once() -> None:
    desk = Desk(takes_s=100.0)
    call = asyncio.create_task(desk.chat())
    await asyncio.sleep(5)
    call.cancel()
    await asyncio.wait([call])
    assert desk.settled == ["cancelled"]


async def test_a_call_that_is_cancelled_after_it_was_sent_counts_as_unanswered() -> None:
    desk = Desk(throttled(retry_after_s=3.0), takes_s=10.0)
    budget = Budget(bounds=BudgetLimits(tokens=10_000))
    client = desk.open(an_exchange(desk.dispatcher, budget=budget, max_tokens=100))
    call = asyncio.create_task(client.chat(HELLO))
    await asyncio.sleep(15)
    call.cancel()
    await asyncio.wait([call])
    assert len(desk.sender.sent) == 2
    assert budget.unanswered == 1
    assert budget.spent.tokens > 100


async def test_a_call_that_is_cancelled_before_it_was_sent_costs_nothing() -> None:
    desk = Desk()
    dispatcher = a_dispatcher(desk.sender, "a", limiters={"a": AdaptiveLimiter(Turnstile(opens=500.0))})
    budget = Budget(bounds=BudgetLimits(tokens=10_000))
    call = asyncio.create_task(desk.open(an_exchange(dispatcher, budget=budget)).chat(HELLO))
    await asyncio.sleep(5)
    call.cancel()
    await asyncio.wait([call])
    assert (budget.unanswered, budget.spent) == (0, Spending())


async def test_a_bug_in_a_provider_passes_and_gives_the_permit_back() -> None:
    desk = Desk(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await desk.chat()
    assert desk.settled == ["cancelled"]


async def test_the_account_sums_up_over_turns() -> None:
    cached = Usage(100, 20, cached_tokens=64, reasoning_tokens=8, estimated=True)
    desk = Desk(a_response(), empty("a"), a_response(usage=cached))
    await desk.chat()
    await desk.chat()
    sample_usage = desk.client.sample_usage
    assert desk.sender.request_ids == ["s0/1/1", "s0/2/1", "s0/2/2"]
    assert (sample_usage.turns, sample_usage.attempts) == (2, 3)
    assert (sample_usage.usage.input_tokens, sample_usage.usage.output_tokens) == (10 + 10 + 100, 5 + 0 + 20)
    assert (sample_usage.usage.cached_tokens, sample_usage.usage.reasoning_tokens, sample_usage.usage.estimated) == (
        64,
        8,
        True,
    )
    assert sample_usage.connect_s == pytest.approx(0.2)
    assert sample_usage.generation_s == pytest.approx(0.6)
    assert sample_usage.ttft_s == 0.2


async def test_waiting_for_leave_is_accounted_for() -> None:
    desk = Desk(instances="a")
    desk.limiters["a"].opens = 12.0
    await desk.chat()
    sample_usage = desk.client.sample_usage
    assert sample_usage.rate_wait_s == 12
    assert sample_usage.first_sent_s == 12
    assert sample_usage.opened_s == 0


async def test_the_first_send_is_told_once_per_sample() -> None:
    told: list[int] = []
    desk = Desk(throttled(), server_fault(), a_response())
    client = desk.open(an_exchange(desk.dispatcher, on_first_send=told.append))
    assert told == []
    await client.chat(HELLO)
    await client.chat(HELLO)
    assert told == [0]


async def test_calls_of_one_sample_at_the_same_time_have_names_of_their_own() -> None:
    desk = Desk()
    await asyncio.gather(*[desk.chat() for _ in range(3)])
    assert sorted(desk.sender.request_ids) == ["s0/1/1", "s0/2/1", "s0/3/1"]


async def test_another_model_of_the_sweep_is_called_through_its_own_dispatcher() -> None:
    desk, judges = Desk(), ScriptedSender(a_response("7 of 10"))
    judge = a_dispatcher(judges, "j", model="judge")
    client = desk.open(an_exchange(desk.dispatcher, judge))
    assert (await client.chat(HELLO, model="judge")).text == "7 of 10"
    assert (judges.went_to, desk.sender.went_to) == (["j"], [])
    assert client.sample_usage.moved_reason is None


async def test_the_request_carries_the_runs_generation_and_the_calls_own_bound() -> None:
    desk = Desk()
    await desk.client.chat(HELLO, max_tokens=9, tools=({"type": "function"},))
    request = desk.sender.sent[0].request
    assert (request.messages, request.generation.max_tokens, request.tools) == (HELLO, 9, ({"type": "function"},))
    assert request.generation.seed is None


async def test_each_model_is_asked_and_waited_for_in_its_own_way() -> None:
    desk, judges = Desk(), ScriptedSender()
    judge = a_dispatcher(judges, "j", model="judge")
    asking = {
        "m": Asking(Generation(temperature=0.0, seed=5), deadlines=Deadlines(attempt_s=900, sample_s=14_400)),
        "judge": Asking(Generation(top_p=0.5), deadlines=Deadlines(attempt_s=50, sample_s=1800)),
    }
    client = desk.open(replace(an_exchange(desk.dispatcher, judge), asking=asking))
    begun_at = now()
    await client.chat(HELLO)
    await client.chat(HELLO, model="judge")
    (asked,), (judged,) = desk.sender.sent, judges.sent
    assert (asked.request.generation, judged.request.generation) == (asking["m"].generation, Generation(top_p=0.5))
    assert (asked.deadline - asked.at, judged.deadline - judged.at) == (900, 50)
    assert client.deadline - begun_at == 14_400


async def test_a_bound_in_extra_body_is_what_is_reserved() -> None:
    desk = Desk()
    budget = Budget(bounds=BudgetLimits(tokens=500))
    call_context = an_exchange(desk.dispatcher, budget=budget)
    tight = {"m": Asking(Generation(max_tokens=1, extra_body={"max_completion_tokens": 9_999}), deadlines=USUAL)}
    with pytest.raises(LimitReached):
        await desk.open(replace(call_context, asking=tight)).chat(HELLO)
    assert desk.sender.sent == []


async def test_the_account_keeps_how_the_last_request_was_adapted() -> None:
    adaptation = Adaptation({}, ("seed",), "no seed")
    desk = Desk(replace(a_response(), adaptation=adaptation))
    await desk.chat()
    assert desk.client.sample_usage.adaptation == adaptation


async def test_a_timeout_of_an_attempt_is_tried_again() -> None:
    desk = Desk(timed_out(stage="connect"))
    await desk.chat()
    assert desk.client.sample_usage.attempts == 2
    assert isinstance(desk.client.sample_usage.error, TimedOut)


# ------------------------------------------------------------------ solvers that do several things
def two_models() -> tuple[SampleClient, ScriptedSender, ScriptedSender]:
    """The sample's own model `m` on a, and `judge` on j."""
    own, judge = (
        ScriptedSender(takes_s=1.0),
        ScriptedSender(always=a_response("fair", usage=Usage(100, 1)), takes_s=1.0),
    )
    call_context = an_exchange(a_dispatcher(own, "a"), a_dispatcher(judge, "j", model="judge"))
    return SampleClient(call_context, an_opened(), BareSlot()), own, judge


async def test_another_models_tokens_are_counted_apart_and_its_answer_is_not_the_samples() -> None:
    client, _, _ = two_models()
    await client.chat(HELLO)
    assert (await client.chat(HELLO, model="judge")).text == "fair"
    sample_usage = client.sample_usage
    assert sample_usage.spent == {"m": Usage(10, 5), "judge": Usage(100, 1)}
    assert (sample_usage.turns, sample_usage.attempts, sample_usage.usage) == (2, 2, Usage(110, 6))
    assert sample_usage.instance is not None
    assert (sample_usage.instance.name, sample_usage.request_id, sample_usage.moved_reason) == ("a", "s0/1/1", None)
    assert sample_usage.response is not None
    assert sample_usage.response.text == "fine"


async def test_a_model_that_the_run_does_not_have_is_named() -> None:
    client, _, _ = two_models()
    with pytest.raises(LookupError, match="this run has no model 'jugde'; did you mean \"judge\""):
        await client.chat(HELLO, model="jugde")
    assert client.sample_usage.turns == 0


async def test_calls_at_once_each_have_a_turn_of_their_own() -> None:
    client, own, _ = two_models()
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(client.chat(HELLO))
    assert sorted(own.request_ids) == ["s0/1/1", "s0/2/1", "s0/3/1"]
    assert (client.sample_usage.turns, client.sample_usage.usage) == (3, Usage(30, 15))


async def test_calls_that_a_gather_leaves_behind_end_with_the_sample() -> None:
    client, own, judge = two_models()
    judge._always = rejections()[0]
    own._takes_s = 50.0
    with pytest.raises(Rejected):
        await asyncio.gather(client.chat(HELLO), client.chat(HELLO, model="judge"))
    await client.close()
    assert (now(), own._in_flight, len(asyncio.all_tasks())) == (1.0, 0, 1)
    with pytest.raises(RuntimeError, match="task t0 has ended"):
        await client.chat(HELLO)


async def test_illegal_tool_names_travel_under_legal_ones() -> None:
    call: ToolCall = {"id": "1", "type": "function", "function": {"name": "a_b", "arguments": "{}"}}
    desk = Desk(dataclasses.replace(a_response(), tool_calls=[call]))
    reply = await desk.client.chat(HELLO, tools=[{"type": "function", "function": {"name": "a.b"}}])
    assert desk.sender.sent[0].request.tools == [{"type": "function", "function": {"name": "a_b"}}]
    assert reply.tool_calls == [{**call, "function": {"name": "a.b", "arguments": "{}"}}]


def used_up() -> RetryBudget:
    budget = RetryBudget(0.0)
    budget.retries = FREE_RETRIES
    return budget


async def test_the_same_failure_twice_in_a_row_moves_the_call_elsewhere() -> None:
    desk = Desk(server_fault("a"), server_fault("a"))
    await desk.chat()
    assert desk.sender.went_to == ["a", "a", "b"]
    assert desk.client.sample_usage.moved_reason == "server_error"


async def test_a_request_that_fails_alike_on_two_instances_that_answer_others_is_given_up() -> None:
    desk = Desk(always=lambda name, _number: server_fault(name))
    for instance_state in desk.dispatcher.instance_states.values():
        instance_state.counters.succeeded, instance_state.counters.answered_at = (
            1000,
            1e6,
        )  # others are answered all the while
    with pytest.raises(ServerFault) as caught:
        await desk.chat()
    assert desk.sender.went_to == ["a", "a", "b"]
    assert caught.value.__notes__ == ["not tried again: the same failure on two instances that answer others"]


async def test_without_another_instance_the_attempts_are_the_bound() -> None:
    desk = Desk(always=lambda name, _number: server_fault(name), instances="a")
    (
        desk.dispatcher.instance_states["a"].counters.succeeded,
        desk.dispatcher.instance_states["a"].counters.answered_at,
    ) = 1000, 1e6
    with pytest.raises(ServerFault):
        await desk.chat()
    assert desk.client.sample_usage.attempts == 6


async def test_when_the_runs_retries_are_used_up_a_failure_ends_the_call_at_once() -> None:
    desk = Desk(server_fault())
    client = desk.open(an_exchange(desk.dispatcher, retry_budget=used_up()))
    with pytest.raises(ServerFault) as caught:
        await client.chat(HELLO)
    assert (client.sample_usage.attempts, desk.slot.parked) == (1, [])
    (note,) = caught.value.__notes__
    assert note == "not tried again: the run's retry budget is used up (500 retries in 1 calls; run.retry_budget is 0)"


async def test_an_instance_that_cannot_be_reached_costs_no_retries_once_it_is_known_to_be_silent() -> None:
    unreachable = Unreachable("refused", connection_lost("a").evidence)
    desk = Desk(*[unreachable] * 4)
    client = desk.open(an_exchange(desk.dispatcher, retry_budget=(budget := RetryBudget(0.5))))
    health_tracker = desk.dispatcher.instance_states["a"].health_tracker
    for _ in range(4):
        health_tracker.failed(unreachable, 0.0, is_probe=False)
    await client.chat(HELLO)
    assert client.sample_usage.attempts == 5
    assert budget.retries == 0, "the probes bound these"


async def test_every_attempt_is_reserved_and_committed() -> None:
    budget = Budget(bounds=BudgetLimits(tokens=600))
    desk = Desk(empty("a"), a_response())
    client = desk.open(an_exchange(desk.dispatcher, budget=budget))
    with pytest.raises(LimitReached, match="the token limit is reached: 10 of 20"):
        await desk.open(
            an_exchange(desk.dispatcher, budget=Budget(bounds=BudgetLimits(tokens=20), before=Spending(10)))
        ).chat(HELLO)
    await client.chat(HELLO)
    assert budget.spent.tokens == 10 + 15
    assert desk.sender.went_to == ["a", "b"]


async def test_a_request_that_its_transport_sent_twice_is_no_attempt_but_may_have_been_billed() -> None:
    answer = a_response()
    answer = dataclasses.replace(answer, timing=dataclasses.replace(answer.timing, resent=1))
    refusal = throttled()
    refusal.evidence = dataclasses.replace(refusal.evidence, resent=1)
    desk = Desk(refusal, answer, instances="a")
    client = desk.open(an_exchange(desk.dispatcher, budget=(budget := Budget())))
    await client.chat(HELLO)
    assert (client.sample_usage.attempts, budget.unanswered, client.billable) == (1, 2, 3)


async def test_a_server_that_asks_to_wait_longer_than_the_sample_has_ends_the_call_at_once() -> None:
    desk = Desk(server_fault(retry_after_s=86_400.0))
    with pytest.raises(ServerFault) as caught:
        await desk.chat()
    assert (now(), desk.slot.parked) == (1, [])
    (note,) = caught.value.__notes__
    assert note == "not tried again: the server asks to wait 86,400 s, the sample has 1,799 s left"


async def test_what_one_instance_refuses_is_asked_of_the_others_once_each() -> None:
    desk = Desk(instances="abcd", always=lambda name, _: refused(name))
    with pytest.raises(Refused):
        await desk.chat()
    assert len(desk.sender.went_to) == len(set(desk.sender.went_to)) == REFUSALS_AT_MOST
    assert set(desk.settled) == {"cancelled"}
    assert desk.client.sample_usage.attempts == 1


async def test_an_instance_that_takes_what_another_refused_answers_it() -> None:
    desk = Desk(refused("a"))
    assert (await desk.chat()).text == "fine"
    assert desk.sender.went_to == ["a", "b"]
    assert desk.client.sample_usage.moved_reason == "refused"


async def test_an_only_instance_that_refuses_is_asked_once() -> None:
    desk = Desk(instances="a", always=lambda name, _: refused(name))
    with pytest.raises(Refused):
        await desk.chat()
    assert desk.sender.went_to == ["a"]


async def test_a_request_that_is_larger_than_the_limit_is_no_evidence_against_the_instance() -> None:
    too_large = RequestTooLarge("Limit 30, Requested 42", evidence("a", status=429))
    desk = Desk(instances="a", always=too_large)
    for _ in range(6):
        with pytest.raises(RequestTooLarge):
            await desk.chat()
    assert set(desk.settled) == {"cancelled"}
    assert desk.dispatcher.instance_states["a"].health_tracker.is_healthy


async def chat_of(desk: Desk, ordinal: int) -> ChatResponse:
    client = SampleClient(desk.client.call_context, an_opened(a_sample(ordinal)), BareSlot())
    return await client.chat(HELLO)


async def test_an_instance_that_refuses_five_samples_alike_is_out_and_the_next_is_told_why() -> None:
    desk = Desk(instances="a", always=refused("a", "no such field"))
    desk.sender._always = lambda name, number: refused(name, "no such field", f"s{number}")
    for ordinal in range(5):
        with pytest.raises(Refused):
            await chat_of(desk, ordinal)
    with pytest.raises(NoUsableInstance, match=r"a: unusable \(a: no such field"):
        await chat_of(desk, 5)
    assert len(desk.sender.sent) == 5


async def test_what_is_in_flight_when_an_instance_begins_to_refuse_may_reopen_it() -> None:
    slow, answered = asyncio.Event(), a_response()

    class Sender(ScriptedSender):
        async def complete(
            self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float
        ) -> ChatResponse:
            self.sent.append(Sent(on.name, request_id, now(), deadline, request))
            if request_id.startswith("s9/"):
                await slow.wait()
            elif not slow.is_set():
                raise refused(on.name, "no such field", request_id.split("/")[0])
            return answered

    desk = Desk(instances="a")
    desk.dispatcher.instance_states["a"].sender = sender = Sender()
    late = asyncio.create_task(chat_of(desk, 9))
    await asyncio.sleep(1)
    for ordinal in range(5):
        with pytest.raises(Refused):
            await chat_of(desk, ordinal)
    waiting = asyncio.create_task(chat_of(desk, 6))
    await asyncio.sleep(50)
    assert len(sender.sent) == 6
    slow.set()
    assert (await late).text == (await waiting).text == "fine"
    assert desk.dispatcher.instance_states["a"].health_tracker.is_healthy


async def test_a_sample_that_is_throttled_while_others_pass_is_too_large_after_a_bounded_number() -> None:
    class Sender(ScriptedSender):
        async def complete(
            self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float
        ) -> ChatResponse:
            answer = await super().complete(on, request, request_id=request_id, deadline=deadline)
            if request_id.startswith("s0/"):
                raise throttled(on.name)
            return answer

    desk = Desk(instances="a")
    desk.dispatcher.instance_states["a"].sender = desk.sender = Sender(takes_s=1.0)
    others = asyncio.create_task(_chats(desk, 200))
    with pytest.raises(RequestTooLarge, match="again and again"):
        await desk.chat()
    assert sum(sent.request_id.startswith("s0/") for sent in desk.sender.sent) < 10
    await others


async def test_a_sample_that_is_throttled_like_the_others_is_waited_for() -> None:
    desk = Desk(instances="a")
    desk.sender._always = lambda name, number: throttled(name) if number < 300 else a_response()
    others = asyncio.create_task(_chats(desk, 200))
    assert (await desk.chat()).text == "fine"
    assert desk.client.sample_usage.throttles > 100
    await others


async def _chats(desk: Desk, number: int) -> None:
    for ordinal in range(1, number):
        await chat_of(desk, ordinal)
