"""Streamed answers as bytes: all events are written before the first is sent, with faults and peculiarities of vendors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import orjson

from .bodies import (
    BLANK_LINES,
    PROMPT_FILTER,
    envelope,
    shape_calls,
    text_part,
    thinking_part,
    thinking_text,
    with_nan_logprobs,
)
from .calls import CHARACTERS_PER_TOKEN
from .usage import build_usage, build_usage_so_far

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...messages import ToolCall
    from ..settings.protocol import QuirkSettings
    from ..settings.provider import EndpointSettings
    from .calls import SimulatedReply
    from .dialects import Dialect

DONE = b"data: [DONE]\n\n"
KEEPALIVE = b": OPENROUTER PROCESSING\n\n"
KEEPALIVE_EVERY = 3
"""Number of events between two comments."""


@dataclass(frozen=True, slots=True)
class Script:
    """The bytes of a stream, written before they are sent: `events[i]` is due at milestone i, `closing` at the last one."""

    opening: bytes
    """Sent at once: the role without content."""
    events: list[bytes]
    closing: bytes
    silent_before: int | None
    """Index of the event before which the stream stalls."""

    def whole(self) -> bytes:
        """Join the stream."""
        return b"".join((self.opening, *self.events, self.closing))

    def rewritten(self, rewrite: Callable[[bytes], bytes]) -> Script:
        """Rewrite each part of the stream."""
        return replace(
            self,
            opening=rewrite(self.opening),
            events=[rewrite(event) for event in self.events],
            closing=rewrite(self.closing),
        )


def write_script(reply: SimulatedReply, dialect: Dialect, settings: EndpointSettings, *, wants_usage: bool) -> Script:
    """Write the events of a streamed answer, one for each token of text."""
    frame = _Frame(reply)
    opening = frame.delta({"role": "assistant", "content": "", "refusal": None})
    if dialect.tells_filter_results:
        opening = frame.event({"choices": [], "prompt_filter_results": PROMPT_FILTER}) + opening
    events = [*_content_events(frame, reply, settings), *frame.tool_events(reply, settings.quirks)]
    closing = _closing(frame, reply, settings, wants_usage=wants_usage)
    script = Script(opening, events, closing + (b"" if settings.quirks.no_done else DONE), None)
    if reply.fault is not None:
        script = _spoil(script, reply, dialect)
    return _with_quirks(script, reply, settings.quirks)


def _content_events(frame: _Frame, reply: SimulatedReply, settings: EndpointSettings) -> list[bytes]:
    if not reply.reasoning:
        return frame.text_events(reply.text)
    if settings.reasoning == "think":
        return frame.text_events(thinking_text(reply))
    if settings.reasoning == "list":
        thoughts = [frame.delta({"content": [thinking_part(piece)]}) for piece in _pieces(reply.reasoning)]
        return thoughts + [frame.delta({"content": [text_part(piece)]}) for piece in _pieces(reply.text)]
    thoughts = [frame.delta({"content": None, "reasoning_content": piece}) for piece in _pieces(reply.reasoning)]
    return thoughts + frame.text_events(reply.text)


def _pieces(text: str) -> Iterator[str]:
    """Cut the text into tokens."""
    return (text[at : at + CHARACTERS_PER_TOKEN] for at in range(0, len(text), CHARACTERS_PER_TOKEN))


def _closing(frame: _Frame, reply: SimulatedReply, settings: EndpointSettings, *, wants_usage: bool) -> bytes:
    """Write the finish reason, and the usage where the endpoint reports it."""
    place, usage = settings.quirks.usage, build_usage(reply, settings)
    if place in ("finish_chunk", "every_chunk"):
        return frame.delta({}, reply.finish_reason, {"usage": usage})
    if place == "x_groq":
        return frame.delta({}, reply.finish_reason, {"x_groq": {"id": f"req_{reply.response_id}", "usage": usage}})
    finish = frame.delta({}, reply.finish_reason)
    if place == "after_finish":
        return finish + frame.delta({"role": "assistant", "content": ""}, None, {"usage": usage})
    return finish + frame.event({"choices": [], "usage": usage}) if wants_usage and place == "last_chunk" else finish


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


def _with_quirks(script: Script, reply: SimulatedReply, quirks: QuirkSettings) -> Script:
    """Rewrite the stream as its vendor sends it; the number and the times of events do not change."""
    if quirks.usage == "every_chunk":
        tail = b',"usage":' + orjson.dumps(build_usage_so_far(reply)) + b"}\n\n"
        script = replace(script, events=[event.removesuffix(b"}\n\n") + tail for event in script.events])
    if quirks.nan_logprobs:
        script = script.rewritten(with_nan_logprobs)
    if quirks.keepalive:
        commented = [
            (b"" if index % KEEPALIVE_EVERY else KEEPALIVE) + event for index, event in enumerate(script.events)
        ]
        script = replace(script, opening=KEEPALIVE + script.opening, events=commented)
    if quirks.whitespace_first:
        script = replace(script, opening=BLANK_LINES + script.opening)
    if quirks.crlf:
        script = script.rewritten(lambda data: data.replace(b"\n", b"\r\n"))  # in JSON a line feed is escaped
    return script


class _Frame:
    """The fields that all events of one stream share, serialised once."""

    def __init__(self, reply: SimulatedReply) -> None:
        self._envelope = envelope(reply, "chat.completion.chunk")
        self._head = b"data: " + orjson.dumps(self._envelope)[:-1]
        self._text_head = self._head + b',"choices":[{"index":0,"delta":{"content":'

    def event(self, fields: dict[str, object]) -> bytes:
        """Write an event."""
        return b"data: " + orjson.dumps({**self._envelope, **fields}) + b"\n\n"

    def delta(
        self, delta: dict[str, object], finish_reason: str | None = None, extra: dict[str, object] | None = None
    ) -> bytes:
        """Write a chunk with one choice and the fields of `extra`."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self.event({"choices": [choice], **(extra or {})})

    def text_events(self, text: str) -> list[bytes]:
        """Write an event for each token."""
        head, tail = self._text_head, b'},"logprobs":null,"finish_reason":null}]}\n\n'
        step = CHARACTERS_PER_TOKEN
        return [head + orjson.dumps(text[at : at + step]) + tail for at in range(0, len(text), step)]

    def tool_events(self, reply: SimulatedReply, quirks: QuirkSettings) -> list[bytes]:
        """Write the events of each call: id and name, then the arguments in two pieces; with `index_reuse` one event per call."""
        if quirks.index_reuse:
            whole = shape_calls(reply.tool_calls, quirks)
            return [self.delta({"tool_calls": [{"index": 0, **call}]}) for call in whole]
        return [
            event for index, call in enumerate(reply.tool_calls) for event in self._call_events(index, call, quirks)
        ]

    def _call_events(self, index: int, call: ToolCall, quirks: QuirkSettings) -> list[bytes]:
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        arguments = str(function.get("arguments", ""))
        if quirks.null_arguments and arguments == "{}":
            arguments = ""
        middle = len(arguments) // 2
        named: dict[str, object] = {"index": index, "id": call.get("id"), "type": "function"}
        if quirks.missing_ids:
            del named["id"]
        first: dict[str, object] = {"name": function.get("name"), "arguments": None if quirks.null_arguments else ""}
        again = {"id": "", "type": "function"} if quirks.empty_names else {}
        nameless = {"name": ""} if quirks.empty_names else {}
        pieces = [piece for piece in (arguments[:middle], arguments[middle:]) if piece]
        deltas = [{**named, "function": first}]
        deltas += [{"index": index, **again, "function": {**nameless, "arguments": piece}} for piece in pieces]
        return [self.delta({"tool_calls": [delta]}) for delta in deltas]
