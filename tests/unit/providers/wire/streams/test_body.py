from __future__ import annotations

import orjson
import pytest

from providers.errors import Malformed
from providers.messages import ChatRequest
from providers.wire.received import Received
from providers.wire.streams.body import parse_json

CHUNK = orjson.dumps({"id": "c", "choices": [{"index": 0, "delta": {"content": "42"}, "finish_reason": "stop"}]})


def parse(body: bytes) -> object:
    return parse_json(Received("east/m", "s/0/1", ChatRequest([]), 200, {"content-type": "application/json"}, body))


@pytest.mark.parametrize("start", [b"", b"\n\n", b"\xef\xbb\xbf", b": hello\n\n", b"event: message\n", b"id: 7\n"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n", b"\r\n\r\n"])
def test_a_stream_that_nobody_announced_is_joined(start: bytes, end: bytes) -> None:
    parsed = parse(start + b"data: " + CHUNK + end)
    assert isinstance(parsed, dict)
    assert parsed["choices"][0]["message"]["content"] == "42"


def test_a_stream_that_nobody_announced_must_have_an_end() -> None:
    with pytest.raises(Malformed, match="ended early"):
        parse(b"data: " + CHUNK.replace(b'"stop"', b"null"))


def test_numbers_that_json_lacks_do_not_spoil_an_answer() -> None:
    assert parse(b'\xef\xbb\xbf{"prompt_logprobs": [NaN, -Infinity]}') == {"prompt_logprobs": [None, None]}


@pytest.mark.parametrize("body", [b"", b"{", b"hello", b"<html>NaN</html>"])
def test_what_is_neither_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse(body)
