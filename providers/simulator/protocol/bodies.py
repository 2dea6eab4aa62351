"""Answers as bytes: a whole JSON body, or the events of a stream, with the faults that spoil them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from ..answers.completion import CHARACTERS_PER_TOKEN

if TYPE_CHECKING:
    from ..answers.completion import SimulatedReply
    from .dialects import Dialect

FINGERPRINT = "fp_simulator"
_NO_FILTER = {"hate": {"filtered": False, "severity": "safe"}, "violence": {"filtered": False, "severity": "safe"}}
_PROMPT_FILTER = [{"prompt_index": 0, "content_filter_results": _NO_FILTER}]
_DONE = b"data: [DONE]\n\n"


def whole_body(reply: SimulatedReply, dialect: Dialect) -> bytes:
    """The body of an answer that is not streamed; truncated where the fault says so."""
    if reply.fault == "error_in_200":
        return orjson.dumps(dialect.server_error().body)
    message: dict[str, object] = {"role": "assistant", "content": reply.text or (None if reply.tool_calls else "")}
    if reply.tool_calls:
        message["tool_calls"] = reply.tool_calls
    choice: dict[str, object] = {"index": 0, "message": message, "finish_reason": reply.finish_reason, "logprobs": None}
    body = _envelope(reply, "chat.completion")
    body["choices"] = [choice]
    body["usage"] = _usage(reply)
    if dialect.tells_filter_results:
        choice["content_filter_results"] = _NO_FILTER
        body["prompt_filter_results"] = _PROMPT_FILTER
    data = orjson.dumps(body)
    return data[: len(data) * 2 // 3] if reply.fault == "malformed" else data


@dataclass(frozen=True, slots=True)
class Script:
    """A stream, written before it is played: `events[i]` is due at milestone i, `closing` at the last one."""

    opening: bytes
    """At once: the role, no content."""
    events: list[bytes]
    closing: bytes
    silent_before: int | None
    """Index of the event before which the stream stalls."""


def write_script(reply: SimulatedReply, dialect: Dialect, *, wants_usage: bool) -> Script:
    """The events of a streamed answer, one for each token of text."""
    frame = _Frame(reply)
    opening = frame.delta({"role": "assistant", "content": "", "refusal": None})
    if dialect.tells_filter_results:
        opening = frame.event({"choices": [], "prompt_filter_results": _PROMPT_FILTER}) + opening
    events = [*frame.text_events(reply.text), *frame.tool_events(reply)]
    closing = frame.delta({}, reply.finish_reason)
    if wants_usage:
        closing += frame.event({"choices": [], "usage": _usage(reply)})
    script = Script(opening, events, closing + _DONE, None)
    return script if reply.fault is None else _spoil(script, reply, dialect)


def _spoil(script: Script, reply: SimulatedReply, dialect: Dialect) -> Script:
    middle = (len(script.events) + 1) // 2
    first_half = script.events[:middle]
    if reply.fault == "stall":
        return Script(script.opening, script.events, script.closing, middle)
    if reply.fault == "early_end":
        return Script(script.opening, first_half, b"", None)
    if reply.fault == "error_in_200":
        error = b"data: " + orjson.dumps(dialect.server_error().body) + b"\n\n"
        return Script(script.opening, first_half, error, None)
    if reply.fault == "malformed":
        broken = first_half.pop() if first_half else script.opening
        return Script(script.opening, first_half, broken[: len(broken) // 2] + b"\n\n" + script.closing, None)
    return script


class _Frame:
    """The part that all events of one stream have in common, serialised once."""

    def __init__(self, reply: SimulatedReply) -> None:
        self._envelope = _envelope(reply, "chat.completion.chunk")
        self._head = b"data: " + orjson.dumps(self._envelope)[:-1]
        self._text_head = self._head + b',"choices":[{"index":0,"delta":{"content":'

    def event(self, fields: dict[str, object]) -> bytes:
        return b"data: " + orjson.dumps({**self._envelope, **fields}) + b"\n\n"

    def delta(self, delta: dict[str, object], finish_reason: str | None = None) -> bytes:
        return self.event({"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}]})

    def text_events(self, text: str) -> list[bytes]:
        head, tail = self._text_head, b'},"logprobs":null,"finish_reason":null}]}\n\n'
        step = CHARACTERS_PER_TOKEN
        return [head + orjson.dumps(text[at : at + step]) + tail for at in range(0, len(text), step)]

    def tool_events(self, reply: SimulatedReply) -> list[bytes]:
        """For each call its id and name, then its arguments in two pieces."""
        events = []
        for index, call in enumerate(reply.tool_calls):
            function = call.get("function")
            function = function if isinstance(function, dict) else {}
            arguments = str(function.get("arguments", ""))
            middle = len(arguments) // 2
            named = {"index": index, "id": call.get("id"), "type": "function"}
            opening = {**named, "function": {"name": function.get("name"), "arguments": ""}}
            events.append(self.delta({"tool_calls": [opening]}))
            events += [
                self.delta({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
                for piece in (arguments[:middle], arguments[middle:])
                if piece
            ]
        return events


def _envelope(reply: SimulatedReply, kind: str) -> dict[str, object]:
    return {
        "id": reply.response_id,
        "object": kind,
        "created": int(time.time()),
        "model": reply.model,
        "system_fingerprint": FINGERPRINT,
    }


def _usage(reply: SimulatedReply) -> dict[str, object]:
    return {
        "prompt_tokens": reply.input_tokens,
        "completion_tokens": reply.output_tokens,
        "total_tokens": reply.input_tokens + reply.output_tokens,
    }
