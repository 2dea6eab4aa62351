from __future__ import annotations

import json
import re

import pytest

from providers.simulator.protocol.bodies import whole_body
from providers.simulator.protocol.dialects import OPENAI
from tests.unit.providers.simulator.replies import ADD, NOW, endpoint, reply, whole


def test_an_endpoint_without_settings_answers_with_these_very_bytes() -> None:
    place = endpoint()
    body = re.sub(rb'"created":\d+', b'"created":0', whole_body(reply(place), OPENAI, place.settings))
    assert body == (
        b'{"id":"chatcmpl-26fdc08b0a4d6078","object":"chat.completion","created":0,"model":"m","system_fingerprint":"fp_simulator",'
        b'"choices":[{"index":0,"message":{"role":"assistant","content":"Four."},"finish_reason":"stop","logprobs":null}],'
        b'"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}'
    )


def test_reasoning_stands_in_a_field_of_its_own() -> None:
    message = whole(reasoning="field")["choices"][0]["message"]
    assert message["content"] == "Four."
    assert message["reasoning_content"]


def test_reasoning_stands_in_a_think_block_before_the_text() -> None:
    message = whole(reasoning="think")["choices"][0]["message"]
    assert re.fullmatch(r"<think>\n[0-9a-f .]+\n</think>\n\nFour\.", message["content"])
    assert "reasoning_content" not in message


def test_reasoning_is_a_list_of_parts_with_the_text_last() -> None:
    thinking, text = whole(reasoning="list")["choices"][0]["message"]["content"]
    assert thinking["type"] == "thinking"
    assert thinking["thinking"][0]["type"] == "text"
    assert thinking["closed"] is True
    assert text == {"type": "text", "text": "Four."}


@pytest.mark.parametrize("form", ["field", "think", "list"])
def test_reasoning_that_uses_up_max_tokens_leaves_no_text(form: str) -> None:
    place = endpoint(reasoning=form, reasoning_tokens=100)
    cut = reply(place, max_tokens=8)
    message = json.loads(whole_body(cut, OPENAI, place.settings))["choices"][0]["message"]
    assert (cut.finish_reason, cut.output_tokens, cut.reasoning_tokens, cut.text) == ("length", 8, 8, "")
    if form == "think":
        assert "</think>" not in message["content"]
    elif form == "list":
        assert [(part["type"], part["closed"]) for part in message["content"]] == [("thinking", False)]
    else:
        assert message["content"] == ""


def test_max_tokens_leave_the_text_what_the_reasoning_did_not_use() -> None:
    place = endpoint(reasoning="field", reasoning_tokens=10)
    thought = reply(place).reasoning_tokens
    cut = reply(place, text="x" * 400, max_tokens=thought + 3)
    assert (cut.text, cut.finish_reason, cut.output_tokens) == ("x" * 12, "length", thought + 3)


def test_reasoning_belongs_to_the_request_and_lies_around_its_mean() -> None:
    place = endpoint(reasoning="field", reasoning_tokens=40)
    texts = [reply(place, request_id=f"s{number}/1/1").reasoning for number in range(50)]
    assert texts == [reply(place, request_id=f"s{number}/1/1").reasoning for number in range(50)]
    lengths = [len(text) // 4 for text in texts]
    assert 20 <= min(lengths) < 40 < max(lengths) <= 60


def test_reasoning_tokens_are_said_inside_outside_or_not() -> None:
    inside, outside, unsaid = (
        whole(reasoning="field", reasoning_usage=place)["usage"] for place in ("inside", "outside", "unsaid")
    )
    thought = inside["completion_tokens_details"]["reasoning_tokens"]
    assert thought > 0
    assert inside["completion_tokens"] == unsaid["completion_tokens"] == thought + 2
    assert outside == {**inside, "completion_tokens": 2}
    assert inside["total_tokens"] == outside["total_tokens"] == inside["prompt_tokens"] + thought + 2
    assert "completion_tokens_details" not in unsaid


@pytest.mark.parametrize(
    "name", ["cached_tokens", "num_cached_tokens", "cache_read_input_tokens", "prompt_cache_hit_tokens"]
)
def test_cached_tokens_are_said_under_the_vendors_name(name: str) -> None:
    assert whole(quirks={"cached": name})["usage"][name] == 4


def test_cached_tokens_stand_among_the_details_as_with_openai() -> None:
    usage = whole(quirks={"cached": "prompt_tokens_details"})["usage"]
    assert usage["prompt_tokens_details"] == {"cached_tokens": 4}


def test_absent_usage_is_absent() -> None:
    assert "usage" not in whole(quirks={"usage": "absent"})


def test_tool_calls_lose_their_ids_and_empty_arguments() -> None:
    quirks = {"missing_ids": True, "null_arguments": True}
    add, now = whole("", (ADD, NOW), quirks=quirks)["choices"][0]["message"]["tool_calls"]
    assert add == {"type": "function", "function": {"name": "add", "arguments": '{"a":2}'}}
    assert now == {"type": "function", "function": {"name": "now", "arguments": None}}


def test_log_probabilities_that_are_no_number_are_no_json() -> None:
    place = endpoint(quirks={"nan_logprobs": True})
    text = '"logprobs":null'
    body = whole_body(reply(place, text), OPENAI, place.settings)
    assert body.count(b"NaN") == 1
    assert json.loads(body)["choices"][0]["message"]["content"] == text  # Python's own reader takes NaN


def test_blank_lines_come_before_the_body() -> None:
    place = endpoint(quirks={"whitespace_first": True})
    body = whole_body(reply(place), OPENAI, place.settings)
    assert body[:1] == b"\n"
    assert body.lstrip()[:1] == b"{"
