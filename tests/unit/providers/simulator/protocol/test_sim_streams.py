from __future__ import annotations

import json

import pytest

from tests.unit.providers.simulator.replies import ADD, NOW, chunks, deltas, stream, whole


def test_a_stream_without_settings_ends_with_usage_and_done() -> None:
    data = stream()
    assert data.endswith(b"data: [DONE]\n\n")
    assert [chunk["choices"] == [] for chunk in chunks(data)] == [False] * 4 + [True]
    assert deltas(data) == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Four"},
        {"content": "."},
        {},
    ]


def test_streamed_reasoning_comes_first_and_in_its_field() -> None:
    pieces = deltas(stream(reasoning="field"))
    message = whole(reasoning="field")["choices"][0]["message"]
    assert "".join(piece.get("reasoning_content") or "" for piece in pieces) == message["reasoning_content"]
    assert "".join(piece.get("content") or "" for piece in pieces) == "Four."
    kinds = ["reasoning_content" in piece for piece in pieces[1:-1]]
    assert kinds == sorted(kinds, reverse=True)


def test_a_streamed_think_block_is_the_whole_ones() -> None:
    content = whole(reasoning="think")["choices"][0]["message"]["content"]
    assert "".join(piece.get("content", "") for piece in deltas(stream(reasoning="think"))) == content


def test_a_streamed_list_has_thinking_parts_and_then_text_parts() -> None:
    parts = [part for piece in deltas(stream(reasoning="list"))[1:-1] for part in piece["content"]]
    thinking, text = whole(reasoning="list")["choices"][0]["message"]["content"]
    thoughts = [part["thinking"][0]["text"] for part in parts if part["type"] == "thinking"]
    assert "".join(thoughts) == thinking["thinking"][0]["text"]
    assert "".join(part["text"] for part in parts if part["type"] == "text") == text["text"]
    assert parts[-1]["type"] == "text"


def test_reused_indices_come_with_whole_calls_under_different_ids() -> None:
    pieces = [
        piece["tool_calls"]
        for piece in deltas(stream("", (ADD, NOW), quirks={"index_reuse": True}))
        if "tool_calls" in piece
    ]
    assert pieces == [[{"index": 0, **ADD}], [{"index": 0, **NOW}]]


def test_later_pieces_of_a_call_have_empty_names_and_ids() -> None:
    first, *later = [piece["tool_calls"][0] for piece in deltas(stream("", (ADD,), quirks={"empty_names": True}))[1:-1]]
    assert (first["id"], first["function"]["name"]) == ("call_1", "add")
    assert {(piece["id"], piece["function"]["name"]) for piece in later} == {("", "")}
    assert "".join(piece["function"]["arguments"] for piece in later) == '{"a":2}'


def test_a_call_begins_with_null_arguments_and_has_nothing_else_where_it_takes_none() -> None:
    calls = [piece["tool_calls"][0] for piece in deltas(stream("", (ADD, NOW), quirks={"null_arguments": True}))[1:-1]]
    assert [call["function"].get("arguments") for call in calls] == [None, '{"a', '":2}', None]


def test_calls_come_without_ids() -> None:
    calls = [piece["tool_calls"][0] for piece in deltas(stream("", (ADD,), quirks={"missing_ids": True}))[1:-1]]
    assert not any("id" in call for call in calls)


@pytest.mark.parametrize("wants_usage", [True, False])
def test_usage_stands_beside_the_finish_reason_asked_for_or_not(*, wants_usage: bool) -> None:
    last = chunks(stream(wants_usage=wants_usage, quirks={"usage": "finish_chunk"}))[-1]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["usage"]["total_tokens"] == 11


def test_usage_stands_beside_an_empty_delta_after_the_finish_reason() -> None:
    *_, finish, last = chunks(stream(quirks={"usage": "after_finish"}))
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert last["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert last["choices"][0]["finish_reason"] is None
    assert last["usage"]["total_tokens"] == 11


def test_usage_in_every_chunk_is_null_until_the_last() -> None:
    totals = [chunk.get("usage", {}).get("total_tokens") for chunk in chunks(stream(quirks={"usage": "every_chunk"}))]
    assert totals == [None, None, None, 11]
    assert all(chunk["usage"]["prompt_tokens"] == 9 for chunk in chunks(stream(quirks={"usage": "every_chunk"}))[1:])


def test_groqs_usage_stands_in_its_own_field() -> None:
    last = chunks(stream(quirks={"usage": "x_groq"}))[-1]
    assert last["x_groq"]["usage"]["total_tokens"] == 11
    assert "usage" not in last


def test_absent_usage_is_absent_although_it_was_asked_for() -> None:
    assert b'"usage"' not in stream(quirks={"usage": "absent"})


def test_a_stream_ends_without_done() -> None:
    assert b"[DONE]" not in stream(quirks={"no_done": True})


def test_comments_lines_and_blanks_change_no_event() -> None:
    plain, odd = stream(), stream(quirks={"keepalive": True, "crlf": True, "whitespace_first": True})
    assert odd.count(b": OPENROUTER PROCESSING\r\n\r\n") == 2
    assert odd.startswith(b"\r\n")
    assert odd.count(b"\n") == odd.count(b"\r\n")
    assert [chunk["choices"] for chunk in chunks(odd)] == [chunk["choices"] for chunk in chunks(plain)]


def test_streamed_log_probabilities_are_no_json() -> None:
    data = stream(quirks={"nan_logprobs": True})
    lines = [line for line in data.decode().splitlines() if "NaN" in line]
    assert len(lines) == 4
    assert all(json.loads(line.removeprefix("data: ")) for line in lines)  # Python's own reader takes NaN
