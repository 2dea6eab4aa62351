from __future__ import annotations

import json
from typing import Any

import pytest

from providers.simulator.protocol.dialects import AZURE, OPENAI, Dialect, ErrorAnswer
from providers.simulator.protocol.refused_requests import find_request_error
from tests.unit.providers.simulator.replies import ADD, QUESTION, call, endpoint


def refused(dialect: Dialect = OPENAI, *, body: dict[str, Any], **settings: Any) -> ErrorAnswer | None:
    return find_request_error(call(**body), endpoint(**settings).settings, dialect)


def error_of(answer: ErrorAnswer | None) -> Any:
    assert answer is not None
    assert isinstance(answer.body, dict)
    return answer.body["error"]


@pytest.mark.parametrize("dialect", [OPENAI, AZURE])
def test_max_tokens_are_refused_with_the_field_to_use_instead(dialect: Dialect) -> None:
    assert error_of(refused(dialect, body={"max_tokens": 512}, refuses=["max_tokens"])) == {
        "message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "type": "invalid_request_error",
        "param": "max_tokens",
        "code": "unsupported_parameter",
    }


@pytest.mark.parametrize(("value", "written"), [(0, "0"), (0.0, "0"), (0.7, "0.7")])
def test_a_temperature_is_refused_for_its_value(value: float, written: str) -> None:
    assert error_of(refused(AZURE, body={"temperature": value}, refuses=["temperature"])) == {
        "message": (
            f"Unsupported value: 'temperature' does not support {written} with this model. Only the default (1) value is supported."
        ),
        "type": "invalid_request_error",
        "param": "temperature",
        "code": "unsupported_value",
    }


@pytest.mark.parametrize("body", [{}, {"temperature": None}, {"temperature": 1}, {"max_completion_tokens": 9}])
def test_what_is_not_sent_or_is_the_default_is_taken(body: dict[str, Any]) -> None:
    assert refused(body=body, refuses=["temperature", "max_tokens"]) is None


def test_the_first_field_of_the_list_is_named() -> None:
    body = {"max_tokens": 9, "temperature": 0}
    assert error_of(refused(body=body, refuses=["temperature", "max_tokens"]))["param"] == "temperature"


def test_stop_is_refused_by_its_name_alone() -> None:
    error = error_of(refused(body={"stop": ["x"]}, refuses=["stop"]))
    assert error["message"] == "Unsupported parameter: 'stop' is not supported with this model."


@pytest.mark.parametrize(
    ("field", "value", "place", "found"),
    [
        ("stream_options", {"include_usage": True}, ["body", "stream_options", "include_usage"], True),
        ("seed", 7, ["body", "seed"], 7),
    ],
)
def test_foundry_forbids_fields_that_it_does_not_know_with_422(
    field: str, value: Any, place: list[str], found: Any
) -> None:
    answer = refused(AZURE, body={field: value}, refuses=[field])
    assert answer is not None
    assert answer.status == 422
    (detail,) = json.loads(error_of(answer)["message"])["detail"]
    assert detail == {"type": "extra_forbidden", "loc": place, "msg": "Extra inputs are not permitted", "input": found}
    openai = refused(OPENAI, body={field: value}, refuses=[field])
    assert openai is not None
    assert openai.status == 400


def test_the_role_of_the_system_is_refused_where_it_stands() -> None:
    messages = [*QUESTION, {"role": "system", "content": "Be brief."}]
    error = error_of(refused(body={"messages": messages}, refuses=["system"]))
    assert (error["param"], error["code"]) == ("messages[1].role", "unsupported_value")
    assert refused(body={}, refuses=["system"]) is None


def test_tools_are_refused_unless_no_reasoning_is_asked_for() -> None:
    tools = [{"type": "function", "function": {"name": "add"}}]
    error = error_of(refused(body={"tools": tools}, refuses=["tools"]))
    assert (error["param"], error["code"]) == ("reasoning_effort", None)
    assert "for m in /v1/chat/completions" in error["message"]
    assert refused(body={"tools": tools, "reasoning_effort": "none"}, refuses=["tools"]) is None


@pytest.mark.parametrize(
    ("turn", "is_refused"),
    [
        ({"content": None, "tool_calls": [ADD]}, True),
        ({"content": None, "tool_calls": [ADD], "reasoning_content": ""}, True),
        ({"content": None, "tool_calls": [ADD], "reasoning_content": "I add."}, False),
        ({"content": "Four."}, False),
    ],
)
def test_a_turn_that_called_tools_must_bring_its_reasoning_back(turn: dict[str, Any], *, is_refused: bool) -> None:
    messages = [*QUESTION, {"role": "assistant", **turn}]
    answer = refused(body={"messages": messages}, reasoning="field", wants_back="reasoning_content")
    assert (answer is not None) == is_refused
    if is_refused:
        words = "thinking is enabled but reasoning_content is missing in assistant tool call message at index 1"
        assert error_of(answer) == {"message": words, "type": "invalid_request_error"}
