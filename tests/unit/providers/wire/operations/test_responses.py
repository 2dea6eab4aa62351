"""A chat spelt as a request of the Responses API, and its answer spelt as a chat completion."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from providers.errors import ContentFiltered, Empty, Malformed, ProviderError, Throttled, Truncated
from providers.instance import Instance
from providers.messages import ChatRequest, Generation, Timing, Usage
from providers.route import Route
from providers.wire.operations.responses import as_message, build_payload, read_response, respell
from providers.wire.received import Received
from providers.wire.streams.response_stream import ResponseAssembler

ROUTE = Route(Instance("p/d", "m", "o3-pro", "p", "p/d"), "http://h/v1", None, operation="responses")
RECEIVED = Received("p/d", "r/1/1", ChatRequest([]), 200, {})
TIMING = Timing(0.0, None, 0.0)

TOOL = {"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "search", "arguments": "{}"}}
FUNCTION_CALL: dict[str, object] = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "search",
    "arguments": "{}",
}
THOUGHT: dict[str, object] = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [],
    "encrypted_content": "gAAA",
    "status": None,
}
SENT_BACK = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}


def message(text: str, kind: str = "output_text") -> dict[str, object]:
    name = "refusal" if kind == "refusal" else "text"
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": kind, name: text}]}


def response(*output: Mapping[str, object], **changes: object) -> dict[str, object]:
    usage = {
        "input_tokens": 7, "output_tokens": 5, "total_tokens": 12,
        "input_tokens_details": {"cached_tokens": 2}, "output_tokens_details": {"reasoning_tokens": 3},
    }  # fmt: skip
    body = {"id": "resp_1", "object": "response", "model": "o3-pro-2025", "status": "completed", "error": None}
    return {**body, "output": list(output), "usage": usage, **changes}


def test_nothing_is_stored_and_reasoning_comes_encrypted() -> None:
    request = ChatRequest(
        [{"role": "system", "content": "Be short."}, {"role": "user", "content": "6 × 7?"}],
        generation=Generation(max_tokens=64, temperature=0.5, stream=True),
    )  # fmt: skip
    assert build_payload(ROUTE, request) == {
        "model": "o3-pro",
        "input": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "6 × 7?"}],
        "max_output_tokens": 64,
        "temperature": 0.5,
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }


def test_extra_fields_go_in_last_and_win() -> None:
    payload = build_payload(
        ROUTE, ChatRequest([], generation=Generation(extra_body={"include": [], "reasoning": {"summary": "auto"}}))
    )
    assert (payload["include"], payload["reasoning"]) == ([], {"summary": "auto"})


def test_every_field_of_a_chat_has_its_place() -> None:
    schema = {"name": "answer", "schema": {"type": "object"}, "strict": True}
    chat = {
        "model": "m", "messages": [], "max_completion_tokens": 9, "reasoning_effort": "low", "verbosity": "high",
        "response_format": {"type": "json_schema", "json_schema": schema}, "parallel_tool_calls": False,
        "tool_choice": {"type": "function", "function": {"name": "search"}}, "tools": [TOOL], "top_p": 0.9,
        "stream": True, "stream_options": {"include_usage": True}, "logprobs": True, "top_logprobs": 2, "seed": 5,
    }  # fmt: skip
    assert respell(chat) == {
        "model": "m", "input": [], "max_output_tokens": 9, "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_schema", **schema}, "verbosity": "high"}, "parallel_tool_calls": False,
        "tool_choice": {"type": "function", "name": "search"}, "top_p": 0.9, "stream": True, "top_logprobs": 2, "seed": 5,
        "tools": [{"type": "function", "name": "search", "parameters": {"type": "object"}, "strict": False}],
        "store": False, "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
    }  # fmt: skip


@pytest.mark.parametrize("value", ["auto", "none", "required"])
def test_a_tool_choice_in_a_word_stays_a_word(value: str) -> None:
    assert respell({"messages": [], "tool_choice": value})["tool_choice"] == value


def test_parts_of_a_prompt_take_this_api_s_types() -> None:
    parts = [
        {"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,x", "detail": "low"}},
    ]
    assert respell({"messages": [{"role": "user", "content": parts}]})["input"] == [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "what is it?"},
                {"type": "input_image", "image_url": "data:image/png;base64,x", "detail": "low"},
            ],
        }
    ]


def test_an_answer_is_read_as_a_chat_s() -> None:
    answer = read_response(response(THOUGHT, message("42")), RECEIVED, TIMING)
    assert (answer.text, answer.finish_reason, answer.response_id, answer.response_model) == (
        "42", "stop", "resp_1", "o3-pro-2025",
    )  # fmt: skip
    assert answer.usage == Usage(7, 5, 2, 3)


def test_tool_calls_are_read_as_a_chat_s() -> None:
    answer = read_response(response(FUNCTION_CALL), RECEIVED, TIMING)
    assert (list(answer.tool_calls), answer.finish_reason, answer.text) == ([CALL], "tool_calls", "")


def test_a_refusal_is_the_text_and_says_so() -> None:
    answer = read_response(response(message("I cannot", "refusal")), RECEIVED, TIMING)
    assert (answer.text, answer.refused) == ("I cannot", True)


ERRORS: dict[str, tuple[object, type[ProviderError]]] = {
    "cut": (
        response(THOUGHT, status="incomplete", incomplete_details={"reason": "max_output_tokens"}), Truncated,
    ),
    "filtered": (
        response(message("4"), status="incomplete", incomplete_details={"reason": "content_filter"}), ContentFiltered,
    ),
    "empty": (response(THOUGHT), Empty),
    "failed": (response(status="failed", error={"code": "rate_limit_exceeded", "message": "slow down"}), Throttled),
    "failed without a word": (response(status="failed"), Malformed),
    "not finished": (response(message("4"), status="in_progress"), Malformed),
    "no output": (response(output=None), Malformed),
    "a list": ([], Malformed),
    "no objects": (response(output=["42"]), Malformed),
}  # fmt: skip


@pytest.mark.parametrize("kind", ERRORS)
def test_what_is_no_answer_is_the_error_that_it_is(kind: str) -> None:
    body, error = ERRORS[kind]
    with pytest.raises(error):
        read_response(body, RECEIVED, TIMING)


def test_a_text_that_was_cut_says_so() -> None:
    cut = response(message("4"), status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    answer = read_response(cut, RECEIVED, TIMING)
    assert (answer.text, answer.finish_reason) == ("4", "length")


def test_a_summary_of_the_reasoning_can_be_read() -> None:
    thought = {
        **THOUGHT,
        "summary": [{"type": "summary_text", "text": "first"}, {"type": "summary_text", "text": "then"}],
    }
    assert as_message([thought, message("42")])["reasoning_content"] == "first\n\nthen"


def test_a_turn_goes_back_with_each_thought_before_what_it_led_to() -> None:
    second = {**THOUGHT, "id": "rs_2"}
    other = {**FUNCTION_CALL, "call_id": "call_2"}
    turn = as_message([THOUGHT, message("let me see"), FUNCTION_CALL, second, other])
    results = [{"role": "tool", "tool_call_id": name, "content": "found"} for name in ("call_1", "call_2")]
    items = respell({"messages": [{"role": "user", "content": "?"}, turn, *results]})["input"]
    call = {"type": "function_call", "call_id": "call_1", "name": "search", "arguments": "{}"}
    assert items == [
        {"role": "user", "content": "?"},
        SENT_BACK,
        {"role": "assistant", "content": "let me see"},
        call,
        {**SENT_BACK, "id": "rs_2"},
        {**call, "call_id": "call_2"},
        {"type": "function_call_output", "call_id": "call_1", "output": "found"},
        {"type": "function_call_output", "call_id": "call_2", "output": "found"},
    ]


def test_reasoning_that_the_server_cannot_know_again_does_not_go_back() -> None:
    plain = {**THOUGHT, "encrypted_content": None}
    assert "reasoning_items" not in as_message([plain, FUNCTION_CALL])
    assert "reasoning_items" not in as_message([message("42"), THOUGHT])  # nothing follows it


def test_a_turn_of_any_other_origin_goes_back_too() -> None:
    turn = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    assert respell({"messages": [turn]})["input"] == [
        {"type": "function_call", "call_id": "call_1", "name": "search", "arguments": "{}"}
    ]


# ------------------------------------------------------------------ streams
def assembled(*events: Mapping[str, object]) -> ResponseAssembler:
    assembler = ResponseAssembler(RECEIVED, 1.0)
    for number, event in enumerate(events):
        assembler.add(event, 2.0 + number)
    return assembler


DELTAS: list[Mapping[str, object]] = [
    {"type": "response.created", "response": response(status="in_progress")},
    {"type": "response.output_text.delta", "delta": "4"},
    {"type": "response.output_text.delta", "delta": "2"},
]


def test_the_first_delta_is_the_first_token_and_the_last_event_the_answer() -> None:
    assembler = assembled(*DELTAS, {"type": "response.completed", "response": response(message("42"))})
    answer = assembler.finish(0.5)
    assert answer.text == "42"
    assert (answer.timing.ttft_s, answer.timing.generation_s, answer.timing.chunk_gaps_s) == (2.0, 1.0, (1.0,))


def test_an_answer_whose_end_lists_nothing_is_made_of_its_items() -> None:
    done = {"type": "response.output_item.done", "item": message("42")}
    assert assembled(done, {"type": "response.completed", "response": response()}).finish(0.0).text == "42"


def test_a_stream_without_its_end_is_no_answer() -> None:
    assembler = assembled(*DELTAS)
    assert not assembler.has_finished
    with pytest.raises(Malformed, match="ended early"):
        assembler.finish(0.0)


def test_an_error_inside_a_stream_is_an_error() -> None:
    events: list[Mapping[str, object]] = [
        {"type": "error", "code": "rate_limit_exceeded", "message": "too many requests"},
        {"type": "error", "error": {"code": "rate_limit_exceeded", "message": "too many requests"}},
    ]
    for event in events:
        with pytest.raises(Throttled):
            assembled(*DELTAS, event)
    failed = response(status="failed", error={"code": "rate_limit_exceeded", "message": "slow"})
    with pytest.raises(Throttled):
        assembled({"type": "response.failed", "response": failed}).finish(0.0)
