"""A simulated model in a tool loop: it follows its plan, heeds failures, and says the same whenever it is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import orjson
import pytest

from orchestrator.scoring.registry import build_scorer
from orchestrator.simulation.plan_following import (
    CORRUPTIONS,
    Conversation,
    Disposition,
    Intention,
    PlanProgress,
    intend,
    is_failed,
    misled_steps,
    next_call,
    plan_to_follow,
    standing,
)
from providers.messages import JSON, ChatRequest, Message, Tool, ToolCall
from runners.calls.client import ModelClient
from runners.samples.answer import Answer
from runners.tools.simulated_tools import FAILURE_KINDS, SimulatedTools
from runners.tools.text_format import TextProtocol
from sharding.plan import Cell, Sample
from sharding.prompts.flaws import FLAWS, damage
from sharding.tasks.task import Task
from sharding.tasks.tool_plan import ToolPlan

STEPS: list[JSON] = [
    {"tool": "find.room", "arguments": {"day": 1}},
    {"tool": "book", "arguments": {"room": 7}},
    {"tool": "tell", "arguments": {"who": "ann"}},
]
TOOLS: Sequence[Tool] = [{"type": "function", "function": {"name": name}} for name in ("find.room", "book", "tell")]
ASKED: tuple[Message, ...] = ({"role": "user", "content": "Book a room."},)


def a_sample(number: int = 0) -> Sample:
    task = Task(f"t{number}", ASKED, target="Booked", tools=TOOLS, metadata={"plan": STEPS})
    return Sample(number, f"s{number}", task, Cell("m", "baseline", 1.0), 0, number)


def asked(*results: str, tools: Sequence[Tool] = TOOLS) -> ChatRequest:
    return ChatRequest(
        [*ASKED, *({"role": "tool", "tool_call_id": "c", "content": result} for result in results)], tools
    )


def the_plan() -> ToolPlan:
    plan = plan_to_follow(a_sample(), asked())
    assert plan is not None
    return plan


def said(request: ChatRequest, protocol: TextProtocol = TextProtocol()) -> Conversation:  # noqa: B008 - a frozen value
    return Conversation(a_sample(), request, protocol)


RIGHT = Intention(the_plan().steps, is_right=True, is_persistent=True)
HASTY = replace(RIGHT, is_persistent=False)


def test_a_task_without_plan_or_a_request_without_tools_is_answered_otherwise() -> None:
    plain = replace(a_sample(), task=replace(a_sample().task, metadata=None))
    assert plan_to_follow(plain, asked()) is None
    assert plan_to_follow(a_sample(), asked(tools=())) is None


@pytest.mark.parametrize(
    ("intention", "results", "expected"),
    [
        (RIGHT, [], PlanProgress(0)),
        (RIGHT, ["ok", "ok"], PlanProgress(2)),
        (RIGHT, ["ok", "{}"], PlanProgress(1)),
        (RIGHT, ["ok", "{}", "ok"], PlanProgress(2)),
        (RIGHT, ["ok", "{}", "ok", "{}"], PlanProgress(2)),
        (RIGHT, ["ok", "{}", "{}"], PlanProgress(1, has_given_up=True)),
        (HASTY, ["ok", "{}"], PlanProgress(1, has_given_up=True)),
    ],
)
def test_a_failed_call_is_made_once_more_or_given_up(
    intention: Intention, results: list[str], expected: PlanProgress
) -> None:
    assert standing(intention, results) == expected


@pytest.mark.parametrize("kind", FAILURE_KINDS)
async def test_every_kind_of_simulated_failure_is_noticed(kind: str) -> None:
    sample = replace(a_sample(), cell=Cell("m", "baseline", 0.0))
    tools = SimulatedTools(sample, lambda _: lambda _: None, [kind])
    assert is_failed((await tools.call({"function": {"name": "book", "arguments": "{}"}})).content)


@pytest.mark.parametrize("content", ["sunny", "", "[]", '{"booking": 1}', "5"])
def test_a_result_is_no_failure(content: str) -> None:
    assert not is_failed(content)


def test_calls_come_one_a_turn_under_names_that_the_wire_allows() -> None:
    call = next_call(RIGHT, said(asked()), 0)
    assert call is not None
    assert call.tool_calls[0]["function"] == {"name": "find_room", "arguments": '{"day":1}'}
    assert next_call(RIGHT, said(asked("ok", "ok", "ok")), 0) is None
    assert next_call(HASTY, said(asked("{}")), 0) is None


def test_without_function_calling_calls_and_results_stand_in_the_text() -> None:
    told: list[Message] = [{"role": "system", "content": "<tools>\n</tools>"}, *ASKED]
    call = next_call(RIGHT, said(ChatRequest(told)), 0)
    assert call is not None
    assert (call.text, call.tool_calls) == (
        '<tool_call>\n{"name":"find.room","arguments":{"day":1}}\n</tool_call>', (),
    )  # fmt: skip
    answered: Message = {
        "role": "user",
        "content": "<tool_response>\nok\n</tool_response>\n<tool_response>\n{}\n</tool_response>",
    }
    assert said(ChatRequest([*told, answered])).results() == ["ok", "{}"]


def test_what_a_task_begins_with_is_not_the_models_doing() -> None:
    own: list[Message] = [*ASKED, {"role": "tool", "tool_call_id": "c", "content": "before"}]
    sample = replace(a_sample(), task=replace(a_sample().task, messages=own))
    now: Message = {"role": "tool", "tool_call_id": "d", "content": "now"}
    assert Conversation(sample, ChatRequest([*own, now]), TextProtocol()).results() == ["now"]


def test_a_model_speaks_the_protocol_of_the_user_and_searches_first() -> None:
    protocol = TextProtocol(call="do", result="done", body="name", search="find")
    search = next_call(RIGHT, said(ChatRequest(ASKED), protocol), 0)
    assert search is not None
    assert search.text == "<find>find room</find>"
    searched: list[Message] = [*ASKED, {"role": "assistant", "content": search.text}]
    call = next_call(RIGHT, said(ChatRequest(searched), protocol), 0)
    assert call is not None
    assert call.text == "<do>\nfind.room\n</do>"
    answered: Message = {"role": "user", "content": "<done>\nok\n</done>"}
    assert said(ChatRequest([*searched, answered]), protocol).results() == ["ok"]


def test_a_broken_step_is_written_so_that_nobody_can_read_it() -> None:
    broken = replace(RIGHT, broken_step=0)
    native, text = (next_call(broken, said(asked(tools=tools)), 0) for tools in (TOOLS, ()))
    assert native is not None
    assert text is not None
    assert native.tool_calls[0]["function"] == {"name": "find_room", "arguments": '{"day":1'}
    assert text.text == '<tool_call>\n{"name":"find.room","arguments":{"day":1}\n</tool_call>'


def test_models_are_right_as_often_as_their_chance_and_wrong_in_every_way() -> None:
    plan, count = the_plan(), 3_000
    usual = Disposition(0, 0.7)
    intentions = [intend(plan, plan, a_sample(number), usual) for number in range(count)]
    assert intentions == [intend(plan, plan, a_sample(number), usual) for number in range(count)]
    assert sum(one.is_right for one in intentions) / count == pytest.approx(0.7, abs=0.04)
    assert all(one.steps == plan.steps and one.broken_step is None for one in intentions if one.is_right)
    wrong = [one for one in intentions if not one.is_right]
    assert all(list(one.steps) != list(plan.steps) or one.broken_step is not None for one in wrong)
    lengths = Counter(len(one.steps) for one in wrong)
    assert set(lengths) == {2, 3, 4}
    assert sum(one.broken_step is not None for one in wrong) / len(wrong) == pytest.approx(
        1 / len(CORRUPTIONS), abs=0.06
    )


FOLLOWED = {
    "sequence_disorder": "sequence_order",
    "tool_misuse": "tool_selection",
    "parameter_error": "parameter",
    "missing_step": "missing",
    "redundant_operations": "redundant",
    "logical_inconsistency": "missing",
    "semantic_drift": "missing",
}


@pytest.mark.parametrize("flaw", FLAWS)
async def test_whoever_believes_a_flawed_plan_makes_the_mistake_that_the_flaw_is(flaw: str) -> None:
    sample, plan = a_sample(), the_plan()
    shown = damage(plan, flaw, sample.task)
    intention = intend(plan, shown, sample, Disposition(0, 0.0))
    assert (list(intention.steps), intention.is_right) == (list(misled_steps(plan, shown)), False)
    calls: list[ToolCall] = [
        {"function": {"name": step.tool, "arguments": orjson.dumps(step.arguments).decode()}}
        for step in intention.steps
    ]
    score = await build_scorer("tool_calls")(sample, Answer("", tool_calls=calls), cast(ModelClient, None))
    assert score.error_class == FOLLOWED[flaw]


@pytest.mark.parametrize("chance", [0.0, 0.3, 0.6, 0.9, 1.0])
def test_the_better_a_model_the_less_often_it_follows_a_flaw(chance: float) -> None:
    """It sees through it with that chance, and is then right with the same."""
    plan, count = the_plan(), 2_000
    shown = damage(plan, "missing_step", a_sample().task)
    intentions = [intend(plan, shown, a_sample(number), Disposition(0, chance)) for number in range(count)]
    assert sum(one.is_right for one in intentions) / count == pytest.approx(chance**2, abs=0.04)


def test_a_plan_that_most_corruptions_cannot_befall_is_still_gone_about_wrongly() -> None:
    single = replace(the_plan(), steps=the_plan().steps[:1])
    wrong = [intend(single, single, a_sample(number), Disposition(0, 0.0)) for number in range(50)]
    assert all(list(one.steps) != list(single.steps) or one.broken_step == 0 for one in wrong)
