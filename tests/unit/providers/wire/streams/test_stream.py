from __future__ import annotations

import orjson
import pytest

from providers.errors import ContentFiltered, Malformed, OutOfQuota, Throttled, Truncated
from providers.messages import ChatRequest, ChatResponse, Generation
from providers.wire.received import Oversized, Received
from providers.wire.streams.events import MAX_EVENT_BYTES, EventSplitter
from providers.wire.streams.stream import StreamAssembler

REQUEST = ChatRequest([{"role": "user", "content": "hi"}], generation=Generation(stream=True))


def assembler() -> StreamAssembler:
    return StreamAssembler(Received("east/m", "s/0/1", REQUEST, 200, {}), sent_at=100.0)


def chunk(finish_reason: str | None = None, **delta: object) -> dict[str, object]:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    return {"id": "c", "model": "m", "system_fingerprint": None, "choices": choices}


def assemble(*chunks: object) -> ChatResponse:
    stream = assembler()
    for number, part in enumerate(chunks):
        stream.add(part, 101.0 + number)
    return stream.finish(connect_s=0.5)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_events_end_at_a_blank_line(end: bytes) -> None:
    lines = [
        b": hello",
        b"event: message",
        b"id: 7",
        b"data: one",
        b"",
        b"data:two",
        b"data:  three",
        b"",
        b"",
        b"data: torn",
    ]
    assert EventSplitter().feed(end.join(lines)) == [b"one", b"two\n three"]


def test_an_event_may_come_byte_by_byte() -> None:
    splitter = EventSplitter()
    stream = "data: größe\r\n\r\n".encode()
    assert [event for byte in stream for event in splitter.feed(bytes([byte]))] == ["größe".encode()]


def feed_all(pieces: list[bytes]) -> None:
    splitter = EventSplitter()
    for piece in pieces:
        splitter.feed(piece)


def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    with pytest.raises(Oversized):
        feed_all([b"x" * 2**20] * (MAX_EVENT_BYTES // 2**20 + 1))


def test_a_stream_without_an_end_is_not_read_for_ever() -> None:
    with pytest.raises(Oversized):
        feed_all([b"data: x\n\n:" + b"x" * 2**20 + b"\n"] * 17)


def test_the_assembler_reports_an_oversized_event_as_malformed() -> None:
    with pytest.raises(Malformed, match="longer than"):
        assembler().feed(b"x" * (MAX_EVENT_BYTES + 1), 101.0)


def test_the_first_token_is_neither_a_role_nor_an_empty_text_nor_usage() -> None:
    response = assemble(
        chunk(role="assistant", content=""), {"choices": [], "usage": None}, chunk(content="a"), chunk("stop")
    )
    assert response.timing.ttft_s == 3.0
    assert response.timing.connect_s == 0.5


def test_reasoning_is_a_token_but_no_text() -> None:
    response = assemble(chunk(reasoning_content="hm"), chunk(reasoning="hm"), chunk(content="a"), chunk("stop"))
    assert (response.text, response.timing.ttft_s, response.timing.chunk_gaps_s) == ("a", 1.0, (1.0, 1.0))
    assert response.timing.generation_s == 2.0


def test_tool_calls_are_joined_by_their_index() -> None:
    response = assemble(
        chunk(tool_calls=[{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]),
        chunk(tool_calls=[{"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": "{"}}]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": "{}"}}, {"index": 1, "function": {"arguments": "}"}}]),
        chunk("tool_calls"),
    )
    assert response.tool_calls == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]


def test_tool_calls_without_an_index_are_told_apart_by_their_id() -> None:
    calls = [{"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}} for name in "ab"]
    assert assemble(chunk(tool_calls=calls), chunk("tool_calls")).tool_calls == calls


def test_a_legacy_function_call_is_joined() -> None:
    response = assemble(
        chunk(function_call={"name": "f", "arguments": "{"}), chunk(function_call={"arguments": "}"}), chunk("stop")
    )
    assert response.tool_calls == [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]


def test_only_the_first_of_several_answers_counts() -> None:
    second = {"choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": "length"}]}
    response = assemble(chunk(content="a"), second, chunk("stop"))
    assert (response.text, response.finish_reason) == ("a", "stop")


def test_done_ends_a_stream_that_names_no_reason() -> None:
    stream = assembler()
    stream.feed(b"data: " + orjson.dumps(chunk(content="a")) + b"\n\ndata: [DONE]\n\ndata: garbage\n\n", 101.0)
    assert stream.finish(0.0).text == "a"


def test_a_stream_that_ends_early_keeps_its_start() -> None:
    stream = assembler()
    stream.feed(b"data: " + orjson.dumps(chunk(content="a")) + b"\n\n", 101.0)
    with pytest.raises(Malformed, match="ended early") as caught:
        stream.finish(0.0)
    assert '"content":"a"' in caught.value.evidence.body


@pytest.mark.parametrize(
    ("code", "expected"),
    [("server_error", Malformed), ("rate_limit_exceeded", Throttled), ("content_filter", ContentFiltered),
     ("insufficient_quota", OutOfQuota)],
)  # fmt: skip
def test_an_error_object_in_the_stream_is_an_error(code: str, expected: type[Exception]) -> None:
    with pytest.raises(expected):
        assembler().add({"error": {"message": "sorry", "code": code}}, 101.0)


@pytest.mark.parametrize(
    "part",
    [None, [], "text", {"choices": "a"}, {"choices": {"a": 1}}, {"choices": ["a"]}, {"choices": [{"delta": "a"}]},
     chunk(content=7), chunk(tool_calls="f"), chunk(tool_calls=["f"])],
)  # fmt: skip
def test_a_chunk_of_another_shape_is_malformed(part: object) -> None:
    with pytest.raises(Malformed):
        assembler().add(part, 101.0)


# ------------------------------------------------------------------ what real servers send
def feed(*lines: bytes, finishing: set[str] | None = None) -> ChatResponse:
    stream = StreamAssembler(Received("east/m", "s/0/1", REQUEST, 200, {}), 100.0, finishing)
    for line in lines:
        stream.feed(line, 101.0)
    return stream.finish(0.0)


def event(part: object) -> bytes:
    return b"data: " + orjson.dumps(part) + b"\n\n"


DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_lines_end_in_any_way_and_a_stream_may_begin_with_a_mark(end: bytes, mark: bytes) -> None:
    stream = mark + end.join([b"data: one", b"data: two", b"", b": hm", b"", b"data: three", b"", b""])
    assert EventSplitter().feed(stream) == [b"one\ntwo", b"three"]
    splitter = EventSplitter()
    assert [found for byte in stream for found in splitter.feed(bytes([byte]))] == [b"one\ntwo", b"three"]


def test_a_line_end_that_is_cut_in_two_is_one() -> None:
    splitter = EventSplitter()
    pieces = [b"data: one\r", b"", b"\ndata: two\r\n", b"\r", b"\n"]
    assert [found for piece in pieces for found in splitter.feed(piece)] == [b"one\ntwo"]


@pytest.mark.parametrize(
    "lines",
    [
        b'event: error\ndata: {"error": {"message": "out of memory"}}\n\n',
        b'event: error\ndata: {"message": "out of memory"}\n\n',
        b"event: error\ndata: out of memory\n\n",
        b'event: error\ndata: "out of memory"\n\n',
        b'error: {"code": 500, "message": "out of memory"}\n\n',
        b"error: out of memory\n\n",
        b'data: {"object": "error", "message": "out of memory", "code": 500}\n\n',
        b'data: {"detail": "out of memory"}\n\n',
        b'data: {"success": false, "message": "out of memory", "code": "PL-500"}\n\n',
        b'data: {"choices": [{"delta": {}, "finish_reason": "stop", "error": {"message": "out of memory"}}]}\n\n',
        b'data: {"error": {"message": "out of memory"}, "choices": [{"delta": {"content": ""}, "finish_reason": "error"}]}\n\n',
        b'data: {"choices": [{"delta": {}, "finish_reason": "error", "error": {"message": "out of memory"}}]}\n\n',
    ],
)
def test_an_error_of_any_form_has_the_servers_words(lines: bytes) -> None:
    with pytest.raises(Malformed, match="out of memory"):
        feed(event(chunk(content="4")), lines, DONE)
    with pytest.raises(Malformed, match="out of memory"):
        feed(event(chunk(content="4")) + lines + DONE)


def test_an_error_event_that_says_nothing_is_an_error() -> None:
    with pytest.raises(Malformed, match="does not say more"):
        feed(event(chunk(content="4")), b"event: error\n\n", DONE)


def test_the_type_of_an_event_ends_with_it() -> None:
    assert feed(b"event: message\n" + event(chunk(content="4")), event(chunk("stop"))).text == "4"


@pytest.mark.parametrize("reason", ["error", "abort"])
def test_an_answer_that_is_broken_off_is_none(reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        assemble(chunk(content="The answer might be"), chunk(reason))


@pytest.mark.parametrize("is_one_chunk", [False, True])
def test_an_error_after_the_tokens_were_used_up_changes_nothing(is_one_chunk: bool) -> None:
    failed: dict[str, object] = {"error": {"message": "stopped", "code": 502}}
    end = [chunk("length") | failed] if is_one_chunk else [chunk("length"), failed]
    with pytest.raises(Truncated):
        assemble(chunk(role="assistant", content=""), *end)
    assert assemble(chunk(content="4"), *end).text == "4"


@pytest.mark.parametrize(
    "lines", [[], [b": still here\n\n"], [event({"choices": []})], [event({"choices": [], "usage": USAGE})]]
)
def test_a_stream_without_an_answer_is_no_silence_of_the_model(lines: list[bytes]) -> None:
    with pytest.raises(Malformed, match="no answer"):
        feed(*lines, DONE)


def test_done_alone_is_no_end_for_a_server_that_names_reasons() -> None:
    finishing: set[str] = set()
    assert feed(event(chunk(content="a")), DONE, finishing=finishing).text == "a"
    feed(event(chunk(content="a")), event(chunk("stop")), DONE, finishing=finishing)
    with pytest.raises(Malformed, match="ended early"):
        feed(event(chunk(content="a")), DONE, finishing=finishing)


def test_an_event_with_numbers_that_json_lacks_is_read() -> None:
    line = b'data: {"choices": [{"delta": {"content": "NaN"}, "logprobs": {"a": -Infinity, "b": NaN}}]}\n\n'
    assert feed(line, event(chunk("stop"))).text == "NaN"


def test_the_first_answer_counts_wherever_it_stands_in_a_chunk() -> None:
    second = {"index": 1, "delta": {"content": "b"}, "finish_reason": None}
    both = {"choices": [second, {"index": 0, "delta": {"content": "a"}, "finish_reason": None}]}
    assert assemble(both, {"choices": [second]}, chunk("stop")).text == "a"


def test_lists_of_parts_are_joined() -> None:
    response = assemble(
        chunk(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}]),
        chunk(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "m"}], "closed": True}]),
        chunk(content=[{"type": "text", "text": "4"}]),
        chunk(content="2"),
        chunk("stop"),
    )
    assert (response.text, response.reasoning) == ("42", "hm")
    thinking = {"type": "thinking", "closed": True, "thinking": [{"type": "text", "text": "hm"}]}
    assert response.assistant["content"] == [thinking, {"type": "text", "text": "42"}]
    assert response.timing.ttft_s == 1.0


def test_text_before_a_list_of_parts_is_kept() -> None:
    assert assemble(chunk(content="4"), chunk(content=[{"type": "text", "text": "2"}]), chunk("stop")).text == "42"


def test_reasoning_of_every_form_goes_back_whole() -> None:
    part = {"type": "reasoning.text", "index": 0, "format": "x"}
    response = assemble(
        chunk(reasoning="h", reasoning_details=[{**part, "text": "h"}]),
        chunk(reasoning="m", reasoning_details=[{**part, "text": "m"}]),
        chunk(reasoning_details=[{**part, "signature": "s"}]),
        chunk(reasoning_details=[{"type": "reasoning.encrypted", "index": 1, "data": "x"}]),
        chunk(content="42", extra_content={"google": {"thought_signature": "c2ln"}}),
        chunk("stop"),
    )
    assert (response.text, response.reasoning) == ("42", "hm")
    assert response.assistant == {
        "role": "assistant",
        "content": "42",
        "reasoning": "hm",
        "reasoning_details": [
            {**part, "text": "hm", "signature": "s"},
            {"type": "reasoning.encrypted", "index": 1, "data": "x"},
        ],
        "extra_content": {"google": {"thought_signature": "c2ln"}},
    }


def test_blocks_end_with_their_signature() -> None:
    blocks = [("a", None), ("b", None), ("", "s1"), ("c", None)]
    chunks = [
        chunk(thinking_blocks=[{"type": "thinking", "thinking": text, "signature": mark}]) for text, mark in blocks
    ]
    assert assemble(*chunks, chunk(content="42"), chunk("stop")).assistant["thinking_blocks"] == [
        {"type": "thinking", "thinking": "ab", "signature": "s1"},
        {"type": "thinking", "thinking": "c"},
    ]


def test_thinking_between_tags_is_split_off_however_it_is_cut() -> None:
    response = assemble(*(chunk(content=letter) for letter in "<think>hm</think>42"), chunk("stop"))
    assert (response.text, response.reasoning) == ("42", "hm")


def test_arguments_of_null_and_of_an_object_are_text() -> None:
    calls = [("a", None), ("b", {"x": 1})]
    response = assemble(
        *(chunk(tool_calls=[{"index": number, "id": name, "function": {"name": name, "arguments": said}}])
          for number, (name, said) in enumerate(calls)),
        chunk("tool_calls"),
    )  # fmt: skip
    assert [call["function"] for call in response.tool_calls] == [
        {"name": "a", "arguments": ""},
        {"name": "b", "arguments": '{"x":1}'},
    ]


@pytest.mark.parametrize(
    "parts",
    [
        [chunk("stop") | {"usage": USAGE}],
        [chunk("stop"), {"choices": [], "usage": USAGE}],
        [
            chunk("stop"),
            {"choices": [], "usage": USAGE},
            {"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}},
        ],
        [chunk("stop") | {"x_groq": {"usage": USAGE}}],
        [chunk("stop"), {"choices": [], "x_groq": {"usage": USAGE}}],
        [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]}],
        [chunk("stop"), {"choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}], "usage": USAGE}],
    ],
)
def test_usage_is_read_wherever_a_chunk_has_it(parts: list[object]) -> None:
    usage = assemble(chunk(content="42"), *parts).usage
    assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (9, 5, False)
