"""One sample, one record: which outcome every ending has, and that an error never stands where an answer should be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from providers.errors import ProviderError, Refused, RequestTooLarge, Truncated
from providers.messages import Adaptation, ToolCall, Usage
from runners.calls.active_sample import ActiveSample
from runners.calls.call_context import Deadlines
from runners.calls.client import ModelClient, SampleClient
from runners.dispatch.dispatcher import NoUsableInstance
from runners.samples.answer import Answer, Score, Scorer, Solver, Ungraded, guard_scorer, guard_solver
from runners.samples.record import Record
from runners.samples.record_building import REASONING_CHARACTERS
from runners.samples.solvers import single_turn
from runners.samples.worker import Method, work
from runners.user_code_error import UserCodeError
from sharding.plan import Sample
from tests.unit.runners.doubles import (
    BareSlot,
    FreeLimiter,
    ScriptedSender,
    Step,
    a_dispatcher,
    a_response,
    a_sample,
    an_exchange,
    an_opened,
    connection_lost,
    empty,
    evidence,
    malformed,
    rejections,
    revoked,
    server_fault,
    throttled,
    timed_out,
)

pytestmark = pytest.mark.looptime

OPENED_AT = 1_700_000_000.0


def now() -> float:
    return asyncio.get_running_loop().time()


async def exact(sample: Sample, answer: Answer, model: ModelClient) -> Score:
    right = answer.text == sample.task.target
    return Score(float(right), "full" if right else "failed", None if right else "wrong")


def a_method(solver: Solver = single_turn, scorer: Scorer = exact) -> Method:
    return Method("run", solver, lambda _: scorer, lambda _, usage: usage.output_tokens / 1000)


async def record_of(
    *steps: Step,
    method: Method | None = None,
    always: Step | None = None,
    sample_s: float = 1000.0,
    opens: float = 0.0,
    instances: str = "ab",
) -> Record:
    sender = ScriptedSender(*steps, always=always, takes_s=1.0)
    limiters = {name: FreeLimiter(opens) for name in instances}
    call_context = an_exchange(
        a_dispatcher(sender, *instances, limiters=limiters), deadlines=Deadlines(attempt_s=300, sample_s=sample_s)
    )
    active = ActiveSample(a_sample(4, epoch=2), "a", "a", 1, OPENED_AT, 2.0)
    return await work(active, BareSlot(), method or a_method(), call_context)


async def test_an_answer_is_scored_and_written_down() -> None:
    record = await record_of()
    assert (record.outcome, record.error_class, record.status) == ("ok", None, 200)
    assert (record.score, record.grade, record.passed, record.score_error) == (1.0, "full", True, None)
    assert (record.output_text, record.input, record.target) == ("fine", "question 4", "fine")
    assert (record.ordinal, record.sample_id, record.epoch, record.stage, record.seed) == (4, "s4", 2, 1, 7)
    assert (record.instance, record.planned_instance, record.deployment) == ("a", "a", "deployment-a")
    assert (record.cost_usd, record.attempts, record.turns, record.request_id) == (0.005, 1, 1, "s4/1/1")
    assert record.total_s == record.working_s == 1


async def test_ten_turns_of_five_minutes_fit_a_reasoning_models_sample() -> None:
    async def ten_turns(sample: Sample, model: ModelClient) -> str:
        replies = [await model.chat(sample.task.messages) for _ in range(10)]
        return replies[-1].text

    slow = ScriptedSender(takes_s=300.0)
    call_context = an_exchange(a_dispatcher(slow, "a"), deadlines=Deadlines(attempt_s=900, sample_s=4 * 3600))
    record = await work(an_opened(), BareSlot(), a_method(ten_turns), call_context)
    assert (record.outcome, record.turns, record.total_s) == ("ok", 10, 3000)


async def test_a_record_says_how_its_request_was_adapted() -> None:
    adaptation = Adaptation({"max_tokens": "max_completion_tokens"}, ("seed",), "no seed")
    record = await record_of(replace(a_response(), adaptation=adaptation))
    assert record.adaptation is not None
    assert json.loads(record.adaptation) == {
        "renamed": {"max_tokens": "max_completion_tokens"},
        "dropped": ["seed"],
        "words": "no seed",
    }
    assert (await record_of()).adaptation is None


async def test_a_failure_after_an_adaptation_says_so_too() -> None:
    adaptation = Adaptation({}, ("seed",), "no seed")
    error = Truncated("no text", evidence(status=200, adaptation=adaptation))
    record = await record_of(always=error)
    assert (record.outcome, json.loads(record.adaptation or "{}")["dropped"]) == ("model_failure", ["seed"])


async def test_the_start_of_the_reasoning_is_kept() -> None:
    assert (await record_of(replace(a_response(), reasoning="because"))).reasoning_text == "because"
    endless = await record_of(replace(a_response(), reasoning="ab" * REASONING_CHARACTERS))
    assert endless.reasoning_text == "ab" * (REASONING_CHARACTERS // 2)
    assert (await record_of()).reasoning_text is None


async def test_the_reasoning_of_an_answer_that_could_not_be_graded_is_kept() -> None:
    async def unsure(sample: Sample, answer: Answer, model: ModelClient) -> Score:
        raise Ungraded("no verdict")

    record = await record_of(replace(a_response(), reasoning="because"), method=a_method(scorer=unsure))
    assert (record.outcome, record.reasoning_text) == ("infra_failure", "because")


async def test_a_wrong_answer_is_an_answer() -> None:
    record = await record_of(a_response("wrong"))
    assert (record.outcome, record.error_class) == ("ok", None)
    assert (record.score, record.passed, record.score_error) == (0.0, False, "wrong")


@pytest.mark.parametrize("error", [*rejections(), empty()], ids=lambda error: error.error_class)
async def test_what_the_model_cannot_or_will_not_answer_is_its_failure(error: ProviderError) -> None:
    record = await record_of(always=error)
    assert (record.outcome, record.error_class) == ("model_failure", error.error_class)
    assert (record.score, record.grade, record.passed) == (0.0, "failed", False)
    assert record.output_text is None
    assert record.status == error.evidence.status


@pytest.mark.parametrize(
    ("kind", "error_class"),
    [(Refused, "refused"), (RequestTooLarge, "request_too_large")],
    ids=["refused", "too large"],
)
async def test_a_refusal_is_never_scored_and_its_words_are_kept(kind: type[ProviderError], error_class: str) -> None:
    record = await record_of(always=kind("a: no such field", evidence(status=400, body="the body")), instances="a")
    assert (record.outcome, record.error_class, record.status) == ("infra_failure", error_class, 400)
    assert (record.score, record.grade, record.passed) == (None, None, None)
    assert (record.error_message, record.raw_response) == ("a: no such field", "the body")


@pytest.mark.parametrize(
    ("error", "error_class"),
    [
        (server_fault(), "server_error"),
        (connection_lost(), "connection"),
        (malformed(), "malformed"),
        (timed_out(stage="connect"), "timeout_connect"),
        (timed_out(stage="between_tokens"), "timeout_between_tokens"),
    ],
)
async def test_what_the_infrastructure_failed_has_no_score(error: ProviderError, error_class: str) -> None:
    record = await record_of(always=error)
    assert (record.outcome, record.error_class) == ("infra_failure", error_class)
    assert (record.score, record.grade, record.passed, record.score_error) == (None, None, None, None)
    assert record.output_text is None
    assert record.error_message == str(error)
    assert record.attempts == 6


async def test_the_body_of_the_last_error_is_kept() -> None:
    assert (await record_of(always=server_fault())).raw_response == "oops"
    assert (await record_of(server_fault())).raw_response is None


async def test_throttled_beyond_the_deadline_is_an_infrastructure_failure() -> None:
    limiter = FreeLimiter()

    def refuse(name: str, number: int) -> BaseException:
        limiter.opens = now() + 30
        return throttled()

    dispatcher = a_dispatcher(ScriptedSender(always=refuse), "a", limiters={"a": limiter})
    call_context = an_exchange(dispatcher, deadlines=Deadlines(attempt_s=300, sample_s=100))
    record = await work(ActiveSample(a_sample(), "a", "a", 0, OPENED_AT, 0.0), BareSlot(), a_method(), call_context)
    assert (record.outcome, record.error_class, record.status) == ("infra_failure", "throttled", 429)
    assert (record.attempts, record.throttles, record.score) == (1, 4, None)
    assert now() == 100


async def test_a_sample_that_never_got_leave_to_send_is_overdue() -> None:
    record = await record_of(opens=500.0, sample_s=20)
    assert (record.outcome, record.error_class) == ("infra_failure", "timeout_sample")
    assert (record.instance, record.started_at, record.status) == (None, None, None)
    assert now() == 20


async def test_a_sample_cut_off_in_flight_is_overdue() -> None:
    record = await record_of(sample_s=0.5)
    assert (record.outcome, record.error_class) == ("infra_failure", "timeout_sample")
    assert record.total_s == 0.5


@pytest.mark.parametrize(
    ("error", "stopped_after_s", "unbilled"),
    [(throttled(), 50.0, [4]), (throttled(), 0.5, []), (server_fault(), 1.5, [4]), (timed_out(), 1.5, [])],
    ids=["refused", "in flight", "failed", "timed out"],
)
async def test_a_sample_that_is_stopped_is_unbilled_where_all_of_its_requests_were_refused(
    error: ProviderError, stopped_after_s: float, unbilled: list[int]
) -> None:
    limiter, found = FreeLimiter(), list[int]()

    def refuse(name: str, number: int) -> BaseException:
        limiter.opens = now() + 100
        return error

    dispatcher = a_dispatcher(ScriptedSender(always=refuse, takes_s=1.0), "a", limiters={"a": limiter})
    call_context = replace(an_exchange(dispatcher), on_unbilled=found.append)
    working = asyncio.create_task(
        work(ActiveSample(a_sample(4), "a", "a", 0, OPENED_AT, 0.0), BareSlot(), a_method(), call_context)
    )
    await asyncio.sleep(stopped_after_s)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert found == unbilled


async def test_a_sample_that_is_late_while_parked_says_what_it_was_waiting_to_repeat() -> None:
    record = await record_of(always=server_fault(), sample_s=1.01)
    assert (record.outcome, record.error_class) == ("infra_failure", "server_error")
    assert "internal error" in str(record.error_message)
    assert now() == pytest.approx(1.01)


async def test_a_failure_that_was_answered_after_all_is_not_what_made_a_later_turn_late() -> None:
    async def two_turns(sample: Sample, model: ModelClient) -> str:
        await model.chat(sample.task.messages)
        await asyncio.sleep(56.5)
        return (await model.chat(sample.task.messages)).text

    record = await record_of(server_fault(retry_after_s=1.0), method=a_method(two_turns), sample_s=60)
    assert (record.outcome, record.error_class) == ("infra_failure", "timeout_sample")


async def hang(sample: Sample, model: ModelClient) -> str:
    await model.chat(sample.task.messages)
    await asyncio.Event().wait()
    return "never"


async def hang_scoring(sample: Sample, answer: Answer, model: ModelClient) -> Score:
    await asyncio.Event().wait()
    return Score(1.0, "full")


@pytest.mark.parametrize(("method", "who"), [(a_method(hang), "solver"), (a_method(scorer=hang_scoring), "scorer")])
async def test_own_code_that_never_returns_is_bounded_by_the_deadline_and_blamed(method: Method, who: str) -> None:
    record = await record_of(method=method, sample_s=60)
    assert (record.outcome, record.error_class, record.score) == ("not_run", "user_code", None)
    assert str(record.error_message).startswith(f"the {who} had not returned on task t4 when its 60 s")
    assert "in its own code for 59 s, for no model" in str(record.error_message)
    assert now() == 60


async def test_own_code_that_hangs_after_it_gave_up_a_call_is_blamed_all_the_same() -> None:
    async def give_up(sample: Sample, model: ModelClient) -> str:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await model.chat(sample.task.messages)
        await asyncio.Event().wait()
        return "never"

    record = await record_of(method=a_method(give_up), sample_s=60)
    assert (record.outcome, record.error_class) == ("not_run", "user_code")


async def test_when_no_instance_is_left_there_is_no_record() -> None:
    with pytest.raises(NoUsableInstance):
        await record_of(revoked("a"), revoked("b"))


async def test_a_moved_sample_says_where_it_went_and_why() -> None:
    record = await record_of(connection_lost("a"))
    assert (record.instance, record.planned_instance, record.moved_reason) == ("b", "a", "connection")
    assert record.outcome == "ok"


async def test_a_sample_that_was_refused_but_stayed_was_not_moved() -> None:
    record = await record_of(throttled("a"))
    assert (record.instance, record.moved_reason, record.throttles) == ("a", None, 1)


async def test_it_started_when_its_first_request_went_out() -> None:
    async def two_turns(sample: Sample, model: ModelClient) -> str:
        await model.chat(sample.task.messages)
        return (await model.chat(sample.task.messages)).text

    record = await record_of(throttled("a"), opens=10.0, method=a_method(two_turns))
    assert record.started_at is not None
    assert datetime.fromisoformat(record.started_at).timestamp() == OPENED_AT + 10
    assert datetime.fromisoformat(record.queued_at).timestamp() == OPENED_AT - 2
    assert (record.rate_wait_s, record.total_s, record.working_s) == (10, 13, 3)


# ------------------------------------------------------------------ a person's own code
async def raises(sample: Sample, model: ModelClient) -> str:
    raise ValueError("bad regex")


async def returns_nothing(sample: Sample, model: ModelClient) -> str:
    return None  # type: ignore[return-value]


async def raising_scorer(sample: Sample, answer: Answer, model: ModelClient) -> Score:
    raise KeyError("target")


async def text_scorer(sample: Sample, answer: Answer, model: ModelClient) -> Score:
    return "yes"  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (a_method(guard_solver(raises, "your solver")), "your solver raised ValueError on task t4: bad regex"),
        (
            a_method(guard_solver(returns_nothing, "your solver")),
            "returned NoneType on task t4; it must return Answer or",
        ),
        (a_method(scorer=guard_scorer(raising_scorer, "the scorer x")), "the scorer x raised KeyError on task t4"),
        (a_method(scorer=guard_scorer(text_scorer, "your scorer")), "returned str on task t4; it must return a Score"),
    ],
)
async def test_an_error_of_a_persons_own_code_is_not_the_models(method: Method, message: str) -> None:
    record = await record_of(method=method)
    assert (record.outcome, record.error_class) == ("not_run", "user_code")
    assert message in str(record.error_message)
    assert (record.score, record.passed) == (None, None)
    assert record.output_text == (None if "solver" in message or "Answer or" in message else "fine")  # it was paid for


async def test_an_unguarded_error_is_a_bug_and_is_loud() -> None:
    with pytest.raises(ValueError, match="bad regex"):
        await record_of(method=a_method(raises))


@pytest.mark.parametrize("guard", [lambda solver: solver, lambda solver: guard_solver(solver, "your solver")])
async def test_a_guard_lets_our_own_errors_pass(guard: Callable[[Solver], Solver]) -> None:
    record = await record_of(always=rejections()[0], method=a_method(guard(single_turn)))
    assert record.outcome == "model_failure"


async def gathers(sample: Sample, model: ModelClient) -> str:
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(_chat(sample, model))
    return "fine"


async def _chat(sample: Sample, model: ModelClient) -> None:
    await model.chat(sample.task.messages)


async def test_our_errors_out_of_a_persons_task_group_keep_their_meaning() -> None:
    record = await record_of(always=rejections()[0], method=a_method(guard_solver(gathers, "your solver")))
    assert (record.outcome, record.error_class) == ("model_failure", "content_filter")


def nobody() -> SampleClient:
    """A client that is not called."""
    return SampleClient(an_exchange(a_dispatcher(ScriptedSender())), an_opened(), BareSlot())


async def test_a_group_with_an_error_of_the_persons_own_is_theirs() -> None:
    async def mixed(sample: Sample, model: ModelClient) -> str:
        raise ExceptionGroup("both", [rejections()[0], ValueError("mine")])

    with pytest.raises(UserCodeError, match="ExceptionGroup"):
        await guard_solver(mixed, "your solver")(a_sample(), nobody())


async def test_a_string_is_taken_as_an_answers_text_and_a_numpy_score_as_a_number() -> None:
    async def says(sample: Sample, model: ModelClient) -> str:
        return "twelve"

    async def scores(sample: Sample, answer: Answer, model: ModelClient) -> Score:
        return Score(np.float64(0.25), "partial")

    record = await record_of(method=a_method(says, scores))
    assert (record.output_text, record.score, record.grade, record.passed) == ("twelve", 0.25, "partial", False)
    assert type(record.score) is float
    assert (record.attempts, record.instance, record.started_at) == (0, None, None)


async def test_a_whole_conversation_is_kept_where_the_solver_gives_one() -> None:
    async def converses(sample: Sample, model: ModelClient) -> Answer:
        return Answer("done", messages=({"role": "user", "content": "é"},), tool_calls=({"id": "1"}, {"id": "2"}))

    record = await record_of(method=a_method(converses))
    assert record.messages == '[{"role":"user","content":"é"}]'
    assert record.tool_calls == 2


async def test_tokens_of_attempts_that_failed_are_counted() -> None:
    record = await record_of(empty("a"), a_response(usage=Usage(11, 6)))
    assert (record.input_tokens, record.output_tokens) == (21, 6)
    assert record.cost_usd == 0.006


# ------------------------------------------------------------------ tools
def a_call(name: str, **ending: str | int) -> ToolCall:
    return {"function": {"name": name, "arguments": '{"x":1}'}, **ending}


async def record_with_calls(*calls: ToolCall, error_class: str | None = None) -> Record:
    async def solver(sample: Sample, model: ModelClient) -> Answer:
        await model.chat(sample.task.messages)
        return Answer("fine", tool_calls=calls, error_class=error_class)

    sample = a_sample()
    planned = replace(sample, task=replace(sample.task, metadata={"plan": [{"tool": "a"}, {"tool": "b"}]}))
    call_context = an_exchange(a_dispatcher(ScriptedSender(), "a"))
    return await work(an_opened(planned), BareSlot(), a_method(solver), call_context)


async def test_calls_their_failures_and_their_rejections_are_counted() -> None:
    record = await record_with_calls(
        a_call("a", turn=1, failure="timeout"),
        a_call("a", turn=2),
        a_call("b", turn=3, rejection="bad_arguments"),
        a_call("", turn=4, rejection="unreadable"),
    )
    assert (record.tool_calls, record.tool_failures, record.tool_coverage) == (4, 1, 0.5)
    assert (record.tool_rejections, record.tool_unreadable) == (2, 1)
    assert json.loads(record.tool_trace or "")[0] == {
        "turn": 1, "name": "a", "arguments": '{"x":1}', "failure": "timeout", "rejection": None,
    }  # fmt: skip


async def test_without_a_plan_there_is_no_coverage_and_without_calls_no_trace() -> None:
    record = await record_of()
    assert (record.tool_calls, record.tool_coverage, record.tool_trace) == (0, None, None)
    assert (await record_with_calls()).tool_coverage == 0.0


async def test_a_solver_that_had_to_stop_gives_a_scored_answer_with_its_reason() -> None:
    record = await record_with_calls(error_class="max_turns")
    assert (record.outcome, record.error_class, record.passed, record.status) == ("ok", "max_turns", True, 200)


async def test_every_models_tokens_have_their_own_price() -> None:
    async def judged(sample: Sample, model: ModelClient) -> str:
        reply = await model.chat(sample.task.messages)
        await model.chat(sample.task.messages, model="judge")
        return reply.text

    prices = {"m": 1.0, "judge": 100.0}
    call_context = an_exchange(a_dispatcher(ScriptedSender(), "a"), a_dispatcher(ScriptedSender(), "j", model="judge"))
    method = Method("run", judged, lambda _: exact, lambda model, usage: prices[model] * usage.output_tokens)
    record = await work(an_opened(), BareSlot(), method, call_context)
    assert (record.cost_usd, record.output_tokens, record.instance) == (5 + 500, 10, "a")
    unpriced = Method("run", judged, lambda _: exact, lambda model, _: None if model == "judge" else 1.0)
    assert (await work(an_opened(), BareSlot(), unpriced, call_context)).cost_usd is None


async def test_calls_that_a_solver_leaves_behind_end_with_its_sample() -> None:
    async def hasty(sample: Sample, model: ModelClient) -> str:
        async with asyncio.timeout(5):
            await asyncio.gather(model.chat(sample.task.messages), fails())
        return "never"

    async def fails() -> None:
        raise ValueError("mine")

    sender = ScriptedSender(takes_s=50)
    call_context = an_exchange(a_dispatcher(sender, "a"))
    method = a_method(guard_solver(hasty, "your solver"))
    record = await work(an_opened(), BareSlot(), method, call_context)
    assert (record.outcome, record.error_class) == ("not_run", "user_code")
    assert (now(), len(asyncio.all_tasks())) == (0.0, 1)


# ------------------------------------------------------------------ a scorer that asks a model
async def judges(sample: Sample, answer: Answer, model: ModelClient) -> Score:
    said = (await model.chat([{"role": "user", "content": f"is {answer.text} right?"}], max_tokens=9)).text
    return Score(1.0, "full", details={"judge": said})


async def says_nothing(sample: Sample, answer: Answer, model: ModelClient) -> Score:
    raise Ungraded("twice no grade")


async def test_what_a_judge_takes_stands_in_columns_of_its_own() -> None:
    record = await record_of(
        a_response(usage=Usage(10, 5)), a_response("yes", usage=Usage(70, 3)), method=a_method(scorer=judges)
    )
    assert (record.outcome, record.output_text, record.score_details) == ("ok", "fine", '{"judge":"yes"}')
    assert (record.input_tokens, record.output_tokens, record.cost_usd) == (10, 5, 0.005)
    assert (record.judge_input_tokens, record.judge_output_tokens, record.judge_cost_usd) == (70, 3, 0.003)
    assert (record.turns, record.attempts, record.request_id) == (1, 1, "s4/1/1")


async def test_without_a_judge_nothing_was_spent_on_one() -> None:
    record = await record_of()
    assert (record.judge_input_tokens, record.judge_output_tokens, record.judge_cost_usd) == (0, 0, None)


@pytest.mark.parametrize("error", [server_fault(), empty(), *rejections()], ids=lambda error: error.error_class)
async def test_a_judge_that_fails_is_not_the_models_failure(error: ProviderError) -> None:
    record = await record_of(a_response(), method=a_method(scorer=judges), always=error)
    assert (record.outcome, record.error_class, record.score, record.passed) == ("infra_failure", "judge", None, None)
    assert (record.output_text, record.status) == ("fine", 200)
    assert str(record.error_message).startswith("the judge gave no verdict: ")


async def test_a_judge_without_a_grade_leaves_the_sample_unresolved() -> None:
    record = await record_of(method=a_method(scorer=says_nothing))
    assert (record.outcome, record.error_class, record.error_message) == (
        "infra_failure",
        "judge_format",
        "twice no grade",
    )
    assert (record.output_text, record.score) == ("fine", None)


async def test_a_judge_that_is_waited_for_is_no_work_of_the_models() -> None:
    record = await record_of(a_response(), server_fault(retry_after_s=20.0), method=a_method(scorer=judges))
    assert record.outcome == "ok"
    assert (record.retry_wait_s, record.total_s, record.working_s) == (0, 23, 1)


async def test_an_answer_that_the_server_calls_a_refusal_has_that_class_unless_it_is_right() -> None:
    refused = replace(a_response("no"), refused=True)
    assert (await record_of(refused)).score_error == "refusal"
    assert (await record_of(replace(refused, text="fine"))).score_error is None


async def test_calls_of_tools_are_kept_where_the_solver_gives_no_conversation() -> None:
    async def calls(sample: Sample, model: ModelClient) -> Answer:
        return Answer("", tool_calls=({"id": "1"},))

    record = await record_of(method=a_method(calls))
    assert record.messages == '[{"role":"assistant","content":null,"tool_calls":[{"id":"1"}]}]'


async def test_what_ended_a_sample_is_no_answer_whatever_its_solver_makes_of_it() -> None:
    async def swallows(sample: Sample, model: ModelClient) -> str:
        try:
            return (await model.chat(sample.task.messages)).text
        except Exception as error:  # noqa: BLE001 - what people write
            return f"no answer {type(error).__name__}"

    dispatcher = a_dispatcher(ScriptedSender(always=revoked()), "a")
    with pytest.raises(NoUsableInstance):
        await work(an_opened(), BareSlot(), a_method(swallows), an_exchange(dispatcher))


async def test_calls_that_wait_beside_each_other_are_not_waited_for_twice() -> None:
    async def asks_twice(sample: Sample, model: ModelClient) -> str:
        first, _second = await asyncio.gather(model.chat(sample.task.messages), model.chat(sample.task.messages))
        return first.text

    faults = [server_fault(retry_after_s=20.0), server_fault(retry_after_s=20.0)]
    call_context = an_exchange(a_dispatcher(ScriptedSender(*faults), "a"))
    record = await work(an_opened(), BareSlot(), a_method(asks_twice), call_context)
    assert record.retry_wait_s == 40
    assert 0 <= record.working_s <= record.total_s - 20
