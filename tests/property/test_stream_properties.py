"""However a stream is cut, it is the same stream; whatever comes instead of one, it ends in an answer or a ProviderError."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import ProviderError
from providers.masking import Masking
from providers.messages import ChatRequest, ChatResponse, Generation, Timing
from providers.wire.errors.refusals import classify_failure
from providers.wire.operations.chat import read_completion
from providers.wire.received import MAX_ANSWER_BYTES, Oversized, Received
from providers.wire.streams.body import parse_json
from providers.wire.streams.events import EventSplitter
from providers.wire.streams.stream import StreamAssembler

REQUEST = ChatRequest([{"role": "user", "content": "hi"}], generation=Generation(stream=True))
RECEIVED = Received("east/m", "s/0/1", REQUEST, 200, {})
NO_TIME = Timing(0.0, None, 0.0)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
parts = st.lists(
    st.dictionaries(st.sampled_from(["type", "index", "id", "text", "thinking", "signature"]), json_values, max_size=4),
    max_size=3,
)
calls = st.lists(
    st.fixed_dictionaries(
        {}, optional={"index": json_values, "id": st.sampled_from(["", "a", "b"]) | json_values,
                      "function": st.fixed_dictionaries({}, optional={"name": json_values, "arguments": json_values})},
    ),
    max_size=3,
)  # fmt: skip
fields = [
    "content",
    "role",
    "refusal",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "thinking_blocks",
    "extra_content",
]
deltas = st.dictionaries(st.sampled_from([*fields, "tool_calls", "function_call"]), json_values | parts | calls)
choices = st.fixed_dictionaries(
    {}, optional={"delta": deltas | json_values, "finish_reason": json_values, "index": json_values}
)
chunks = st.fixed_dictionaries(
    {}, optional={"choices": st.lists(choices | json_values, max_size=2), "usage": json_values}
)


def events(texts: list[str], end: bytes) -> bytes:
    parts = [{"id": "c", "choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    parts.append({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return b"".join(b"data: " + orjson.dumps(part) + end + end for part in parts) + b"data: [DONE]" + end + end


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    bounds = sorted({0, len(stream), *(place % len(stream) for place in places)})
    return [stream[start:stop] for start, stop in pairwise(bounds)]


def collect(pieces: list[bytes]) -> ChatResponse:
    assembler = StreamAssembler(RECEIVED, sent_at=0.0)
    for piece in pieces:
        assembler.feed(piece, 1.0)
    return replace(assembler.finish(0.0), timing=NO_TIME)


@given(st.lists(st.text()), st.sampled_from([b"\n", b"\r\n"]), st.lists(st.integers(0, 10**6), max_size=40))
def test_a_stream_cut_anywhere_gives_the_same_answer(texts: list[str], end: bytes, places: list[int]) -> None:
    texts = ["begin", *texts]
    stream = events(texts, end)
    response = collect(cut(stream, places))
    assert response == collect([stream])
    assert response.text == "".join(texts)


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_bytes_of_any_kind_are_split_or_kept(pieces: list[bytes]) -> None:
    splitter = EventSplitter()
    found = [event for piece in pieces for event in splitter.feed(piece)]
    assert found == EventSplitter().feed(b"".join(pieces))


@given(st.lists(st.binary(max_size=200).map(lambda noise: b"data: " + noise + b"\n\n"), max_size=5))
def test_noise_ends_in_a_provider_error(pieces: list[bytes]) -> None:
    with pytest.raises(ProviderError) as caught:
        collect(pieces)
    assert len(caught.value.evidence.body) <= 4096


@given(st.lists(chunks, max_size=6))
def test_chunks_of_any_shape_end_in_an_answer_or_a_provider_error(parts: list[object]) -> None:
    assembler = StreamAssembler(RECEIVED, sent_at=0.0)
    try:
        for part in parts:
            assembler.add(part, 1.0)
        assert isinstance(assembler.finish(0.0), ChatResponse)
    except ProviderError:
        pass


@given(json_values | st.fixed_dictionaries({"choices": st.lists(choices, min_size=1)}, optional={"error": json_values}))
def test_a_body_of_any_shape_is_an_answer_or_a_provider_error(body: object) -> None:
    try:
        response = read_completion(body, replace(RECEIVED, body=orjson.dumps(body)), NO_TIME)
    except ProviderError:
        return
    assert response.text.strip() or response.tool_calls


@given(st.integers(300, 599), st.binary(max_size=300) | json_values.map(orjson.dumps), st.text(min_size=8, max_size=20))
def test_a_failure_of_any_kind_has_a_name(status: int, body: bytes, secret: str) -> None:
    error = classify_failure(replace(RECEIVED, status=status, body=body + secret.encode(), masking=Masking([secret])))
    assert str(error).isprintable()
    assert secret not in error.evidence.body


# ------------------------------------------------------------------ what no honest server sends
def nested(levels: int, inside: bytes = b"1") -> bytes:
    return b'{"error":' * levels + inside + b"}" * levels


def bracketed(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize("levels", [100, 300, 990, 1020, 1100, 100_000])
@pytest.mark.parametrize("body", [nested, bracketed, lambda levels: b'{"error":' + bracketed(levels) + b"}"])
def test_nesting_without_an_end_is_a_provider_error(levels: int, body: Callable[[int], bytes]) -> None:
    said = body(levels)
    assert isinstance(classify_failure(replace(RECEIVED, status=500, body=said)), ProviderError)
    with pytest.raises(ProviderError):
        collect([b"data: " + said + b"\n\n"])
    with pytest.raises(ProviderError):
        read_completion(parse_json(replace(RECEIVED, body=said)), RECEIVED, NO_TIME)


@pytest.mark.parametrize("levels", [100, 300, 900])
def test_tool_calls_nested_without_an_end_are_no_answer(levels: int) -> None:
    call = b'{"function": {"name": "f", "arguments": ' + bracketed(levels) + b"}}"
    body = b'{"choices": [{"message": {"tool_calls": [' + call + b"]}}]}"
    for secret in ("", "a key of sixteen and more"):
        received = replace(RECEIVED, body=body, masking=Masking([secret]))
        try:
            response = read_completion(parse_json(received), received, NO_TIME)
        except ProviderError:
            assert levels > 200
        else:
            orjson.dumps(response.tool_calls)


@pytest.mark.parametrize("levels", [100, 300, 900])
@pytest.mark.parametrize("field", ["content", "reasoning_details", "extra_content", "tool_calls"])
def test_fields_nested_without_an_end_are_no_crash(field: str, levels: int) -> None:
    part = b'{"type":"thinking","thinking":[' * (levels // 2) + b"]}" * (levels // 2)
    delta = b'{"delta":{"' + field.encode() + b'":[' + part + b'],"role":"assistant"},"finish_reason":"stop"}'
    with pytest.raises(ProviderError):
        collect([b'data: {"choices":[' + delta + b"]}\n\n"])


def test_an_event_of_empty_lines_without_an_end_is_given_up_on() -> None:
    with pytest.raises(Oversized, match="an event is longer"):
        _feed_for_ever(EventSplitter(), b"data:\n")


def _feed_for_ever(splitter: EventSplitter, chunk: bytes) -> None:
    for _ in range(MAX_ANSWER_BYTES // len(chunk) + 1):
        splitter.feed(chunk)
