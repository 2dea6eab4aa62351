"""The tool loop and the single turn, spoken in function calls and in text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from providers.messages import JSON, ChatResponse, Message, Tool
from runners.samples.answer import Answer
from runners.samples.solvers import MAX_TURNS, ToolUse, build_solver, single_turn, tool_loop
from runners.tools.simulated_tools import FAILURE_KINDS
from runners.tools.text_format import TEXT, TextFormat, TextProtocol
from sharding.plan import Cell, Sample
from sharding.tasks.task import Task
from tests.unit.runners.doubles import a_response

USUAL = ToolUse(max_turns=10, failure_kinds=FAILURE_KINDS)

TOOLS: Sequence[Tool] = [{"type": "function", "function": {"name": name}} for name in ("look", "tell")]
ASKED: tuple[Message, ...] = ({"role": "user", "content": "Weather?"},)


def a_sample(rate: float = 1.0, tools: Sequence[Tool] = TOOLS) -> Sample:
    metadata: Mapping[str, JSON] = {"tool_results": {"look": {"result": "sunny"}}}
    return Sample(0, "s0", Task("t", ASKED, tools=tools, metadata=metadata), Cell("m", "baseline", rate), 0, 7)


def call(name: str, arguments: str = "{}", call_id: str = "c1") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def calling(*calls: Mapping[str, JSON], text: str = "") -> ChatResponse:
    return replace(a_response(text), tool_calls=calls, finish_reason="tool_calls")


class Model:
    """Says its replies in order, the last one for ever, and remembers what it was asked."""

    def __init__(self, *replies: ChatResponse) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[Sequence[Message], Sequence[Tool]]] = []

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        max_tokens: int | None = None,
        model: str | None = None,
    ) -> ChatResponse:
        self.asked.append((messages, tools))
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def endings(answer: Answer) -> list[tuple[Any, ...]]:
    return [(one["turn"], one["result"], one["failure"], one["rejection"]) for one in answer.tool_calls]


async def test_a_single_turn_calls_no_tool() -> None:
    model = Model(calling(call("look")))
    answer = await single_turn(a_sample(), model)
    assert (answer.text, answer.tool_calls, model.asked) == ("", [call("look")], [(ASKED, TOOLS)])


async def test_the_loop_ends_with_the_first_reply_without_a_call() -> None:
    model = Model(calling(call("look"), text="Let me see."), a_response("It is sunny."))
    answer = await tool_loop(a_sample(), model, USUAL)
    assert (answer.text, answer.error_class) == ("It is sunny.", None)
    assert endings(answer) == [(1, "sunny", None, None)]
    assert answer.messages == [
        *ASKED,
        {"role": "assistant", "content": "Let me see.", "tool_calls": [call("look")]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "assistant", "content": "It is sunny."},
    ]
    assert list(model.asked[1][0]) == answer.messages[:-1]


async def test_several_calls_of_one_turn_are_answered_in_their_order() -> None:
    model = Model(calling(call("tell", call_id="c2"), call("look", call_id="c1")), a_response())
    answer = await tool_loop(a_sample(), model, USUAL)
    assert [one["function"]["name"] for one in answer.tool_calls] == ["tell", "look"]  # type: ignore[call-overload,index]
    assert [one["tool_call_id"] for one in answer.messages[2:4]] == ["c2", "c1"]


async def test_turns_that_are_used_up_leave_an_answer_that_says_so() -> None:
    model = Model(calling(call("look"), text="again"))
    answer = await tool_loop(a_sample(), model, replace(USUAL, max_turns=3))
    assert (answer.text, answer.error_class, len(model.asked), len(answer.tool_calls)) == ("again", MAX_TURNS, 3, 3)


async def test_a_wrong_name_and_bad_json_go_back_to_the_model() -> None:
    model = Model(calling(call("lok"), call("look", "{", "c2")), calling(call("look", call_id="c3")), a_response())
    answer = await tool_loop(a_sample(), model, USUAL)
    assert [ending[2:] for ending in endings(answer)] == [(None, "unknown_tool"), (None, "bad_arguments"), (None, None)]
    assert "there is no tool 'lok'" in str(answer.messages[2]["content"])
    assert "not valid JSON" in str(answer.messages[3]["content"])


async def test_a_failing_tool_stands_in_the_answer() -> None:
    model = Model(calling(call("look")), a_response())
    answer = await tool_loop(a_sample(0.0), model, replace(USUAL, failure_kinds=("timeout",)))
    assert endings(answer) == [(1, '{"error":"look timed out after 30 s"}', "timeout", None)]


async def test_calls_without_an_id_get_one() -> None:
    model = Model(calling({"function": {"name": "look", "arguments": "{}"}}), a_response())
    answer = await tool_loop(a_sample(), model, USUAL)
    assert answer.messages[2]["tool_call_id"] == answer.tool_calls[0]["id"] == "r1-0"


async def test_calls_of_one_id_get_ids_of_their_own() -> None:
    model = Model(calling(call("look"), call("tell"), call("look", call_id="")), a_response())
    answer = await tool_loop(a_sample(), model, USUAL)
    ids = ["c1", "r1-1", "r1-2"]
    assert [told["tool_call_id"] for told in answer.messages[2:5]] == ids
    assert [made["id"] for made in answer.messages[1]["tool_calls"]] == ids  # type: ignore[union-attr,call-overload,index]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"city": "Paris"}', '{"city": "Paris"}'),
        ("", "{}"),
        ("{", "{}"),
        ("null", "{}"),
        ('"{\\"city\\": \\"x\\"}"', '{"city": "x"}'),
        ("[1]", "{}"),
        ({"city": "x"}, '{"city":"x"}'),
    ],
)
async def test_arguments_go_back_as_the_text_of_an_object_and_stay_as_they_came_in_the_answer(
    arguments: JSON, sent: str
) -> None:
    made: Mapping[str, JSON] = {"id": "c1", "function": {"name": "look", "arguments": arguments}}
    model = Model(calling(made), a_response())
    answer = await tool_loop(a_sample(), model, USUAL)
    back = {"type": "function", "id": "c1", "function": {"name": "look", "arguments": sent}}
    assert model.asked[1][0][1]["tool_calls"] == [back]
    assert answer.tool_calls[0]["function"] == {"name": "look", "arguments": arguments}


async def test_a_turn_goes_back_with_every_field_that_came_with_it() -> None:
    turn: Message = {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": ["as it came"]}
    model = Model(replace(calling(call("look")), reasoning="hm", assistant=turn), a_response())
    await tool_loop(a_sample(), model, USUAL)
    assert model.asked[1][0][1] == {**turn, "tool_calls": [call("look")]}


async def test_a_single_turn_keeps_the_conversation_where_the_model_reasoned() -> None:
    turn: Message = {"role": "assistant", "content": "4", "reasoning_content": "hm"}
    answer = await single_turn(a_sample(), Model(replace(a_response("4"), reasoning="hm", assistant=turn)))
    assert (answer.text, answer.messages) == ("4", [*ASKED, turn])
    assert (await single_turn(a_sample(), Model(a_response("4")))).messages == ()


async def test_a_task_without_tools_takes_one_turn() -> None:
    answer = await tool_loop(a_sample(tools=()), Model(a_response("4")), USUAL)
    assert (answer.text, len(answer.messages)) == ("4", 2)


# ------------------------------------------------------------------ as text
AS_TEXT = replace(USUAL, formats={"m": TEXT})
LOOK = '<tool_call>\n{"name": "look", "arguments": {"city": "Paris"}}\n</tool_call>'


async def test_a_model_without_function_calling_is_told_of_its_tools_in_words() -> None:
    model = Model(a_response(f"Let me see. {LOOK}"), a_response("It is sunny."))
    answer = await tool_loop(a_sample(), model, AS_TEXT)
    first, second = model.asked
    assert [tools for _, tools in model.asked] == [(), ()]
    assert json.dumps(TOOLS[0], separators=(",", ":")) in str(first[0][0]["content"])
    assert second[0][-1] == {"role": "user", "content": "<tool_response>\nsunny\n</tool_response>"}
    assert (answer.text, endings(answer)) == ("It is sunny.", [(1, "sunny", None, None)])
    assert answer.tool_calls[0]["function"] == {"name": "look", "arguments": '{"city":"Paris"}'}


async def test_a_single_turn_reads_calls_from_text_as_well() -> None:
    answer = await build_solver("single_turn", AS_TEXT)(a_sample(), Model(a_response(LOOK + LOOK)))
    assert isinstance(answer, Answer)
    assert len(answer.tool_calls) == 2


async def test_text_goes_back_as_it_came_and_calls_in_the_thinking_are_none() -> None:
    thought = f"<think>Maybe {LOOK}</think>Let me see. {LOOK}"
    turn: Message = {"role": "assistant", "content": thought, "tool_calls": [call("tell")]}
    model = Model(replace(a_response(f"Let me see. {LOOK}"), assistant=turn), a_response())
    answer = await tool_loop(a_sample(), model, AS_TEXT)
    assert len(answer.tool_calls) == 1
    assert model.asked[1][0][-2] == {"role": "assistant", "content": thought}


async def test_several_results_come_back_in_one_message() -> None:
    model = Model(a_response(LOOK + LOOK.replace("look", "tell")), a_response())
    await tool_loop(a_sample(), model, AS_TEXT)
    assert str(model.asked[1][0][-1]["content"]).count("<tool_response>") == 2


async def test_a_model_searches_for_tools_asks_about_one_and_makes_one_call_a_turn() -> None:
    protocol = TextProtocol(body="name", search="tool_search", info="tool_info", calls_per_turn=1)
    model = Model(
        a_response("<tool_search>look around</tool_search> <tool_info>tell</tool_info>"),
        a_response("<tool_call>look</tool_call><tool_call>tell</tool_call>"),
        a_response("Done."),
    )
    answer = await tool_loop(a_sample(), model, replace(USUAL, formats={"m": TextFormat(protocol)}))
    assert [(call["turn"], call["function"]["name"]) for call in answer.tool_calls] == [(2, "look")]  # type: ignore[index,call-overload]
    found, made = (str(messages[-1]["content"]) for messages, _ in model.asked[1:])
    assert (
        found
        == '<tool_search_result>\nlook\n</tool_search_result>\n<tool_info_result>\n{"name":"tell"}\n</tool_info_result>'
    )
    assert "<tool_response>\nsunny\n</tool_response>" in made
    assert "not made: only the first 1 of a reply is made" in made
    assert "<tools>" not in str(model.asked[0][0])


async def test_a_call_that_cannot_be_read_is_told_to_the_model_and_kept() -> None:
    model = Model(a_response("<tool_call>task_complete</tool_call>"), a_response("Done."))
    answer = await tool_loop(a_sample(), model, AS_TEXT)
    assert [(call["rejection"], call["function"]) for call in answer.tool_calls] == [
        ("unreadable", {"name": "", "arguments": "task_complete"})
    ]
    assert "the tools are: look, tell" in str(model.asked[1][0][-1]["content"])
