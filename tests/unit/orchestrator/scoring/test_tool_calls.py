"""Calls of tools: which class a fault has, what an answer is worth, and which arguments are the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from orchestrator.scoring.expected_calls import expectation_of, is_accepted
from orchestrator.scoring.registry import build_scorer
from providers.messages import JSON
from runners.calls.client import ModelClient
from runners.samples.answer import Answer, Score
from runners.user_code_error import UserCodeError
from sharding.plan import Cell, Sample
from sharding.tasks.task import Task

NO_MODEL = cast(ModelClient, None)


def tool(name: str, *required: str) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object", "required": list(required)}},
    }


TOOLS = [tool("find", "city"), tool("book"), tool("pay")]
FIND = {"name": "find", "arguments": {"city": ["Rome", ""], "days": [3, ""]}}
BOOK = {"name": "book", "arguments": {"room": ["single", "double"]}}
PAY = {"name": "pay", "arguments": {}}


def a_task(calls: Sequence[Mapping[str, Any]], order: str = "strict", **more: Any) -> Task:
    return Task("t", [{"role": "user", "content": "?"}], {"calls": list(calls), "order": order}, tools=TOOLS, **more)


def call(name: str, arguments: object = None) -> dict[str, JSON]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    return {"id": "c", "type": "function", "function": {"name": name, "arguments": text}}


async def scored(task: Task, *made: dict[str, JSON], text: str = "", stopped: str | None = None) -> Score:
    sample = Sample(0, "s", task, Cell("m", "baseline", 1.0), 0, 0)
    return await build_scorer("tool_calls")(sample, Answer(text, tool_calls=made, error_class=stopped), NO_MODEL)


ROME, ROOM, PAID = call("find", {"city": "Rome"}), call("book", {"room": "double"}), call("pay")


@pytest.mark.parametrize(
    ("made", "grade", "value", "error"),
    [
        ([ROME, ROOM, PAID], "full", 1, None),
        ([ROME, PAID, ROOM], "partial", 2 / 3, "sequence_order"),
        ([PAID, ROOM, ROME], "partial", 1 / 3, "sequence_order"),
        ([ROME, ROOM], "partial", 2 / 3, "missing"),
        ([], "failed", 0, "missing"),
        ([ROME, ROOM, PAID, PAID], "partial", 3 / 4, "redundant"),
        ([ROME, call("steal"), PAID], "partial", 2 / 3, "tool_selection"),
        ([ROME, call("book", {"room": "suite"}), PAID], "partial", 2 / 3, "parameter"),
        ([call("find"), ROOM, PAID], "partial", 2 / 3, "parameter"),
        ([ROME, ROOM, call("pay", {"tip": 1})], "partial", 2 / 3, "parameter"),
        ([ROME, ROOM, call("pay", "{")], "partial", 2 / 3, "format"),
        ([ROME, ROOM, call("pay", "[1]")], "partial", 2 / 3, "format"),
        ([ROME, ROOM, call("")], "partial", 2 / 3, "format"),
        ([ROME, ROOM, {"id": "c", "custom": {}}], "partial", 2 / 3, "format"),
        ([ROME, ROOM, call("pay", "")], "full", 1, None),
        ([call("steal")], "failed", 0, "tool_selection"),
    ],
)
async def test_every_fault_has_its_class_and_an_answer_is_worth_its_share_of_right_calls(
    made: list[dict[str, JSON]], grade: str, value: float, error: str | None
) -> None:
    score = await scored(a_task([FIND, BOOK, PAY]), *made)
    assert (score.grade, score.value, score.error_class) == (grade, value, error)
    assert (score.details is None) is (grade == "full")


async def test_parallel_calls_may_come_in_any_order() -> None:
    assert (await scored(a_task([FIND, BOOK, PAY], "any"), PAID, ROOM, ROME)).grade == "full"


async def test_calls_that_fit_two_places_are_given_the_places_where_all_fit() -> None:
    """The first made call would do for both expected ones; the second for one of them only."""
    either = {"name": "find", "arguments": {"city": ["Rome", "Oslo"]}}
    only = {"name": "find", "arguments": {"city": ["Rome"]}}
    task = a_task([either, only], "any")
    assert (await scored(task, ROME, call("find", {"city": "Oslo"}))).grade == "full"


async def test_a_required_parameter_must_be_there_even_where_it_may_be_empty() -> None:
    assert (await scored(a_task([FIND]), call("find", {"days": 3}))).error_class == "parameter"
    assert (await scored(a_task([FIND]), call("find", {"city": ""}))).grade == "full"


async def test_where_no_call_is_expected_none_is_right() -> None:
    assert (await scored(a_task([]), text="No need.")).grade == "full"
    score = await scored(a_task([]), PAID)
    assert (score.grade, score.error_class) == ("failed", "redundant")


async def test_a_refusal_is_told_from_a_missing_call() -> None:
    assert (await scored(a_task([PAY]), text="I'm sorry, I can't help with that.")).error_class == "refusal"


async def test_turns_that_ran_out_are_a_class_of_their_own() -> None:
    score = await scored(a_task([FIND, PAY]), ROME, stopped="max_turns")
    assert (score.value, score.error_class) == (0.5, "max_turns")
    assert (await scored(a_task([FIND]), ROME, stopped="max_turns")).error_class is None


async def test_a_plan_expects_its_calls_in_its_order_with_its_values() -> None:
    plan: list[JSON] = [{"tool": "find", "arguments": {"city": "Rome", "near": {"lat": [1, 2]}}}, {"tool": "pay"}]
    task = Task("t", [{"role": "user", "content": "?"}], metadata={"plan": plan, "goal": "go"})
    whole = call("find", {"city": "Rome", "near": {"lat": [1, 2]}})
    assert (await scored(task, whole, PAID)).grade == "full"
    assert (await scored(task, PAID, whole)).error_class == "sequence_order"
    assert (await scored(task, ROME, PAID)).error_class == "parameter"
    assert (await scored(task, call("find", {"city": "Rome", "near": {"lat": [1]}}), PAID)).error_class == "parameter"


async def test_faults_are_told_in_the_names_that_people_gave() -> None:
    score = await scored(a_task([{"name": "math.add", "arguments": {"x": [1]}}]), call("math.add", {"x": 2}))
    assert score.details == {"fault": "math.add: x is 2"}


def in_vain(made: dict[str, JSON]) -> dict[str, JSON]:
    return {**made, "failure": "timeout"}


@pytest.mark.parametrize(
    ("made", "grade", "value", "error"),
    [
        ([in_vain(ROME), ROME, ROOM, in_vain(PAID), in_vain(PAID), PAID], "full", 1, None),
        ([ROME, in_vain(ROOM)], "partial", 1 / 3, "tool_failure"),
        ([ROME, in_vain(ROOM), PAID], "partial", 2 / 3, "tool_failure"),
        ([in_vain(ROME), in_vain(ROOM), in_vain(PAID)], "failed", 0, "tool_failure"),
        ([ROME, ROOM, in_vain(call("steal")), PAID], "partial", 3 / 4, "redundant"),
        ([ROME, in_vain(ROOM), call("steal")], "partial", 1 / 3, "tool_selection"),
        ([ROME, in_vain(ROME), ROOM], "partial", 2 / 3, "missing"),
    ],
)
async def test_a_right_call_whose_tool_fails_is_free_to_be_made_again_and_not_made_until_then(
    made: list[dict[str, JSON]], grade: str, value: float, error: str | None
) -> None:
    score = await scored(a_task([FIND, BOOK, PAY]), *made)
    assert (score.grade, score.value, score.error_class) == (grade, value, error)


@pytest.mark.parametrize(
    ("task", "says"),
    [
        (Task("t", [], {"calls": 1}), "cannot read task t: its calls are not a list of objects"),
        (Task("t", [], {"calls": [{}]}), "cannot read task t: a call that it expects has no name"),
        (Task("t", [], {"calls": [], "order": "up"}), "cannot read task t: the order of its calls is 'up'"),
        (Task("t", [], {"calls": [{"name": "f", "arguments": 1}]}), "are 1, not an object"),
        (Task("t", [], metadata={"plan": [{"name": "f"}]}), "a call that it expects has no tool"),
    ],
)
async def test_a_task_that_cannot_be_scored_is_a_persons_mistake_in_one_sentence(task: Task, says: str) -> None:
    with pytest.raises(UserCodeError) as caught:
        await scored(task)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("value", "accepted", "same"),
    [
        (5, 5.0, True),
        (0.1, 0.1, True),
        ("New York, NY", "new york ny", True),
        ("2024-01-02", "2024/01/02", True),
        ("Rome", "Oslo", False),
        ("-", "*", False),
        ("", "", True),
        (True, True, True),
        (True, 1, False),
        (1, True, False),
        ("5", 5, False),
        (None, None, True),
        (None, "", False),
        ([1, 2], [1, 2], True),
        ([1, 2], [2, 1], False),
        ([1], [1, 1], False),
        (["A b"], ["ab"], True),
        ({"a": 1}, {"a": [1, 2]}, True),
        ({"a": 2}, {"a": [1, 2]}, True),
        ({}, {"a": [1, ""]}, True),
        ({}, {"a": [1]}, False),
        ({"a": 1, "b": 1}, {"a": [1]}, False),
        ([{"a": 1}], [{"a": [1]}], True),
        ("a", {"a": [1]}, False),
        ("ab", ["a", "b"], False),
    ],
)
def test_values_are_the_same_but_for_how_they_are_spelt(value: JSON, accepted: JSON, same: bool) -> None:
    assert is_accepted(value, accepted) is same


def test_a_task_without_calls_expects_nothing_that_is_known() -> None:
    assert expectation_of(Task("t", [], "plain")) is None


@pytest.mark.parametrize(
    ("made", "grade", "value", "error"),
    [
        ([ROME, ROOM], "full", 1, None),
        ([call("find", {"other": 1}), call("book")], "full", 1, None),
        ([ROOM, ROME], "partial", 1 / 2, "sequence_order"),
        ([ROME], "partial", 1 / 2, "missing"),
        ([ROME, call("book", "{")], "partial", 1 / 2, "format"),
    ],
)
async def test_a_plan_of_names_accepts_any_arguments(
    made: list[dict[str, JSON]], grade: str, value: float, error: str | None
) -> None:
    plan: JSON = [{"tool": "find", "arguments": None}, {"tool": "book", "arguments": None}]
    score = await scored(Task("t", [], tools=TOOLS, metadata={"plan": plan}), *made)
    assert (score.grade, score.value, score.error_class) == (grade, value, error)


@pytest.mark.parametrize("arguments", ['"{\\"city\\": \\"Rome\\"}"', '{"city": "Rome"}'])
async def test_arguments_that_a_server_encodes_twice_are_graded_as_they_are_meant(arguments: str) -> None:
    assert (await scored(a_task([FIND]), call("find", arguments))).grade == "full"


@pytest.mark.parametrize("arguments", [" ", "null"])
async def test_no_arguments_in_any_form_are_none(arguments: str) -> None:
    assert (await scored(a_task([PAY]), call("pay", arguments))).grade == "full"
