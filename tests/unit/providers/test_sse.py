from __future__ import annotations

import orjson
import pytest

from providers.errors import ContentFiltered, Malformed, OutOfQuota, Throttled
from providers.messages import ChatRequest, ChatResponse
from providers.transport.sse import MAX_EVENT_BYTES, EventSplitter, StreamAssembler
from providers.wire.received import Oversized, Received

REQUEST = ChatRequest([{"role": "user", "content": "hi"}], stream=True)


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
        feed_all([b"data: x\n\n" + b":\n" * 2**19] * 17)


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
