"""Streams: bytes become events, events become the completion that `wire.read_completion` reads.

The splitter knows nothing of chats and the assembler nothing of sockets; chunks may be cut anywhere, inside a character too. An event
counts when its blank line has come, so that a stream that is torn off never yields half an event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import orjson

from ..errors import BODY_LIMIT, ProviderError
from ..messages import ChatResponse, Timing
from ..wire.received import MAX_ANSWER_BYTES, Oversized, Received, as_body
from ..wire.refusals import classify_error_body
from .wire import read_completion

MAX_EVENT_BYTES = 4 * 2**20
"""One event with log-probabilities and citations stays far below; a line without an end must not fill the memory."""

_DONE = b"[DONE]"


class EventSplitter:
    """Splits server-sent events off a stream of bytes; only their data matters here."""

    __slots__ = ("_data", "_data_bytes", "_length", "_pending", "_pending_bytes")

    def __init__(self) -> None:
        self._pending: list[bytes] = []
        """The pieces of a line whose end has not come."""
        self._pending_bytes = 0
        self._data: list[bytes] = []
        """The data lines of the event whose blank line has not come."""
        self._data_bytes = 0
        self._length = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take a chunk, return the data of the events that it completes. Raises Oversized where an event or the stream has no end."""
        self._length += len(chunk)
        if self._length > MAX_ANSWER_BYTES:
            raise Oversized(f"the stream is longer than {MAX_ANSWER_BYTES // 2**20} MB")
        first, *rest = chunk.split(b"\n")
        if not rest:
            self._hold(first)
            return []
        events: list[bytes] = []
        self._take_line(b"".join((*self._pending, first)), events)
        for line in rest[:-1]:
            self._take_line(line, events)
        self._pending, self._pending_bytes = [], 0
        self._hold(rest[-1])
        return events

    def _hold(self, piece: bytes) -> None:
        self._pending_bytes += len(piece)
        if self._pending_bytes + self._data_bytes > MAX_EVENT_BYTES:
            raise Oversized(f"an event is longer than {MAX_EVENT_BYTES // 2**20} MB")
        if piece:
            self._pending.append(piece)

    def _take_line(self, line: bytes, events: list[bytes]) -> None:
        line = line.removesuffix(b"\r")
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line.startswith(b" ", 5) else line[5:])
            self._data_bytes += len(line)
        elif not line and self._data:
            events.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
            self._data, self._data_bytes = [], 0


class StreamAssembler:
    """Collects the chunks of one streamed answer. Raises ProviderError and nothing else."""

    def __init__(self, received: Received, sent_at: float) -> None:
        self._received = received
        self._sent_at = sent_at
        self._splitter = EventSplitter()
        self._head = b""
        self._done = False
        self._names: dict[str, object] = {}
        self._usage: object = None
        self._finish_reason: object = None
        self._texts: dict[str, list[str]] = {"content": [], "reasoning_content": [], "refusal": []}
        self._calls: dict[int, dict[str, object]] = {}
        self._gaps_s: list[float] = []
        self.first_token_at: float | None = None
        self._last_token_at = sent_at

    def feed(self, chunk: bytes, now: float) -> None:
        """Take bytes as they come off the wire."""
        if len(self._head) < BODY_LIMIT:
            self._head += chunk[:BODY_LIMIT]
        try:
            events = self._splitter.feed(chunk)
        except Oversized as error:
            raise self._broken(str(error)) from error
        for data in events:
            if data.startswith(_DONE):
                self._done = True
            elif not self._done:
                self.add(self._parse(data), now)

    def add(self, chunk: object, now: float) -> None:
        """Take one chat.completion.chunk."""
        if not isinstance(chunk, dict):
            raise self._broken("an event is not a JSON object")
        if chunk.get("error"):
            raise classify_error_body(chunk, replace(self._received, body=as_body(chunk)))
        if chunk.get("usage"):
            self._usage = chunk["usage"]
        choices = chunk.get("choices")
        if not choices:
            return
        if not self._names:
            self._names = {name: chunk.get(name) for name in ("id", "model", "system_fingerprint")}
        choice = choices[0] if isinstance(choices, list) else None
        if not isinstance(choice, dict):
            raise self._broken("a chunk's choices have no shape that is known")
        if choice.get("index"):
            return  # a second answer that was asked for with n: the first one counts
        self._finish_reason = choice.get("finish_reason") or self._finish_reason
        if (delta := choice.get("delta")) and self._add_delta(delta):
            self._stamp(now)

    @property
    def has_finished(self) -> bool:
        """The finish reason has come: the answer is whole, whatever happens to the connection now."""
        return self._finish_reason is not None

    def finish(self, connect_s: float) -> ChatResponse:
        """Read what was collected. Raises what `read_completion` raises, and Malformed where the stream ended early."""
        if self._finish_reason is None and not self._done:
            raise self._broken("the stream ended early")
        ttft_s = None if self.first_token_at is None else self.first_token_at - self._sent_at
        generation_s = self._last_token_at - (self.first_token_at or self._sent_at)
        timing = Timing(connect_s, ttft_s, generation_s, tuple(self._gaps_s))
        completion = self._completion()
        return read_completion(completion, replace(self._received, body=self._head), timing)

    def _parse(self, data: bytes) -> object:
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise self._broken(f"an event is not JSON ({error.msg})") from error

    def _broken(self, what: str) -> ProviderError:
        return replace(self._received, body=self._head).malformed(what)

    def _stamp(self, now: float) -> None:
        if self.first_token_at is None:
            self.first_token_at = now
        else:
            self._gaps_s.append(now - self._last_token_at)
        self._last_token_at = now

    def _add_delta(self, delta: object) -> bool:
        """Whether the delta carries a token: a role alone does not."""
        if not isinstance(delta, dict):
            raise self._broken("a chunk's delta is not an object")
        content = delta.get("content")
        if content and isinstance(content, str):
            self._texts["content"].append(content)
            if len(delta) <= 2:  # with its role: most chunks end here
                return True
        return self._add_rarer_parts(delta, content)

    def _add_rarer_parts(self, delta: Mapping[str, object], content: object) -> bool:
        if content is not None and not isinstance(content, str):
            raise self._broken("a chunk's content is not a text")
        found = bool(content)
        for kind, value in (("reasoning_content", delta.get("reasoning_content") or delta.get("reasoning")),
                            ("refusal", delta.get("refusal"))):  # fmt: skip
            if value and isinstance(value, str):
                self._texts[kind].append(value)
                found = True
        calls = delta.get("tool_calls")
        if legacy := delta.get("function_call"):
            calls = [{"index": 0, "type": "function", "function": legacy}]
        if not calls:
            return found
        if not isinstance(calls, list):
            raise self._broken("a chunk's tool calls are not a list")
        for call in calls:
            self._add_call(call)
        return True

    def _add_call(self, delta: object) -> None:
        if not isinstance(delta, dict):
            raise self._broken("a tool call is not an object")
        index = delta.get("index")
        if not isinstance(index, int):  # some servers send whole calls without an index
            index = len(self._calls) if delta.get("id") or not self._calls else len(self._calls) - 1
        call = self._calls.setdefault(index, {})
        for key, value in delta.items():
            if key == "function" and isinstance(value, dict):
                self._add_function(call, value)
            elif key != "index" and value is not None:
                call[key] = value

    def _add_function(self, call: dict[str, object], delta: Mapping[str, object]) -> None:
        function = call.setdefault("function", {})
        if not isinstance(function, dict):
            raise self._broken("a tool call's function is not an object")
        for key, value in delta.items():
            said = function.get(key)
            if key == "arguments" and isinstance(said, str) and isinstance(value, str):
                function[key] = said + value
            elif value is not None:
                function[key] = value

    def _completion(self) -> dict[str, object]:
        message: dict[str, object] = {kind: "".join(texts) for kind, texts in self._texts.items() if texts}
        if self._calls:
            message["tool_calls"] = [self._calls[index] for index in sorted(self._calls)]
        choice = {"index": 0, "finish_reason": self._finish_reason, "message": message}
        return {**self._names, "choices": [choice], "usage": self._usage}
