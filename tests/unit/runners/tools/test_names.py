"""Illegal tool names travel under legal ones, and nobody above notices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from providers.messages import Message, Tool, ToolCall
from runners.tools.names import names_of
from tests.unit.runners.doubles import a_response


def tools(*names: str) -> Sequence[Tool]:
    return [{"type": "function", "function": {"name": name}} for name in names]


def test_legal_names_need_no_mapping() -> None:
    assert names_of(tools("a", "A-1_b", "x" * 64)) is None
    assert names_of([]) is None


def test_a_dotted_name_goes_out_and_comes_back() -> None:
    names = names_of(tools("math.area", "plain"))
    assert names is not None
    assert names.tools(tools("math.area", "plain")) == tools("math_area", "plain")
    call: ToolCall = {"id": "1", "type": "function", "function": {"name": "math_area", "arguments": "{}"}}
    (back,) = names.response(replace(a_response(), tool_calls=[call])).tool_calls
    assert back == {**call, "function": {"name": "math.area", "arguments": "{}"}}
    said: Message = {"role": "assistant", "content": None, "tool_calls": [back]}
    asked: Message = {"role": "user", "content": "math.area?"}
    assert names.messages([asked, said]) == [asked, {**said, "tool_calls": [call]}]


def test_the_turn_that_is_remembered_has_the_tasks_names() -> None:
    names = names_of(tools("math.area"))
    assert names is not None
    call: ToolCall = {"id": "1", "type": "function", "function": {"name": "math_area", "arguments": "{}"}}
    turn: Message = {"role": "assistant", "content": None, "tool_calls": [call]}
    back = names.response(replace(a_response(), tool_calls=[call], assistant=turn)).assistant
    assert back == {**turn, "tool_calls": [{**call, "function": {"name": "math.area", "arguments": "{}"}}]}
    assert names.messages([back]) == [turn]


def test_a_bare_function_schema_is_renamed_as_well() -> None:
    names = names_of([{"name": "a.b"}])
    assert names is not None
    assert names.tools([{"name": "a.b", "parameters": {}}]) == [{"name": "a_b", "parameters": {}}]


def test_a_name_that_nobody_offered_is_left_alone() -> None:
    names = names_of(tools("a.b"))
    assert names is not None
    call = {"function": {"name": "other", "arguments": "{}"}}
    assert names.response(replace(a_response(), tool_calls=[call])).tool_calls == [call]


@given(st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=8, unique=True))
def test_names_on_the_wire_are_allowed_and_as_many_as_before(given_names: list[str]) -> None:
    names = names_of(tools(*given_names))
    wire = list(names.on_the_wire.values()) if names else given_names
    assert len(set(wire)) == len(given_names)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in wire)
