"""Parses an answer that was not streamed: JSON, or a stream of events with the wrong content type."""

from __future__ import annotations

from typing import Final

import orjson

from ..json_text import BYTE_ORDER_MARK, read_json
from ..received import Received
from .stream import StreamAssembler

_EVENT_STARTS: Final = (b"data:", b"event:", b"error:", b"id:", b"retry:", b":")


def parse_json(received: Received) -> object:
    """Parse the body, in most cases to a completion. Raises ProviderError where it is neither JSON nor a stream of events."""
    try:
        return orjson.loads(received.body)
    except orjson.JSONDecodeError as error:
        return _parse_leniently(received, error)


def _parse_leniently(received: Received, error: orjson.JSONDecodeError) -> object:
    start = received.body[:64].removeprefix(BYTE_ORDER_MARK).lstrip()
    if start.startswith(_EVENT_STARTS):
        return _join_events(received)
    try:
        return read_json(received.body)
    except orjson.JSONDecodeError:
        if received.is_page():
            what = "a web page came instead of an answer: is this the API's address (/v1 at its end?), or a proxy in between?"
            raise received.malformed(what) from error
        raise received.malformed(f"the answer is not JSON ({error.msg})") from error


def _join_events(received: Received) -> object:
    """Join a stream that is labelled as JSON or was not requested. Its last event may lack the final blank line."""
    assembler = StreamAssembler(received, 0.0)
    assembler.feed(received.body.lstrip() + b"\n\n", 0.0)
    return assembler.completion()
