"""Streams: bytes become events, events become the completion that `chat.read_completion` reads.

The splitter knows nothing of chats and the assembler nothing of sockets; chunks may be cut anywhere, inside a character too. An event
counts when its blank line has come, so that a stream that is torn off never yields half an event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import orjson

from ..errors import BODY_LIMIT, ProviderError
from ..messages import ChatResponse, Timing
from ..transport.failures import classify_error_body
from ..transport.received import MAX_ANSWER_BYTES, Oversized, Received, as_body
from .chat import BROKEN_OFF, broken_off, choose_choice, read_completion
from .growing import GrowingParts
from .json_text import BYTE_ORDER_MARK, read_json
from .tool_calls import GrowingCalls
from .usage import merge_usage

MAX_EVENT_BYTES = 4 * 2**20
"""One event with log-probabilities and citations stays far below; a line without an end must not fill the memory."""

_DONE = b"[DONE]"

_GROWING_TEXTS: Final = ("reasoning_content", "reasoning", "thinking", "refusal")
"""Fields of a delta that are tokens; `content` is the usual one."""


class EventSplitter:
    """Splits server-sent events off a stream of bytes; only their data matters here. An event of type error has its data in `error`."""

    __slots__ = ("_after_return", "_data", "_data_bytes", "_is_error", "_length", "_pending", "_pending_bytes")

    def __init__(self) -> None:
        self._pending: list[bytes] = []
        """The pieces of a line whose end has not come."""
        self._pending_bytes = 0
        self._data: list[bytes] = []
        """The data lines of the event whose blank line has not come."""
        self._data_bytes = 0
        self._length = 0
        self._is_error = False
        self._after_return = False
        """The last byte was a carriage return: a newline that follows belongs to it."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take a chunk, return the data of the events that it completes. Raises Oversized where an event or the stream has no end."""
        self._length += len(chunk)
        if self._length > MAX_ANSWER_BYTES:
            raise Oversized(f"the stream is longer than {MAX_ANSWER_BYTES // 2**20} MB")
        if self._after_return or b"\r" in chunk:
            chunk = self._with_newlines(chunk)
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

    def _with_newlines(self, chunk: bytes) -> bytes:
        """Lines may end in CR LF, LF or CR."""
        if self._after_return:
            chunk = chunk.removeprefix(b"\n")
        self._after_return = chunk.endswith(b"\r") or (self._after_return and not chunk)
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _hold(self, piece: bytes) -> None:
        self._pending_bytes += len(piece)
        if self._pending_bytes + self._data_bytes > MAX_EVENT_BYTES:
            raise Oversized(f"an event is longer than {MAX_EVENT_BYTES // 2**20} MB")
        if piece:
            self._pending.append(piece)

    def _take_line(self, line: bytes, events: list[bytes]) -> None:
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line.startswith(b" ", 5) else line[5:])
            self._data_bytes += len(line)
        elif line:
            self._take_rarer_line(line, events)
        elif self._data or self._is_error:
            data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            events.append(_as_error(data) if self._is_error else data)
            self._data, self._data_bytes, self._is_error = [], 0, False

    def _take_rarer_line(self, line: bytes, events: list[bytes]) -> None:
        name, _, value = line.partition(b":")
        if name.startswith(BYTE_ORDER_MARK):
            self._take_line(line.lstrip(BYTE_ORDER_MARK), events)
        elif name == b"event":
            self._is_error = value.strip() == b"error"
        elif name == b"error":  # llama.cpp puts an error where others have an event
            events.append(_as_error(value.strip()))


def _as_error(data: bytes) -> bytes:
    """The data of an error event as an error object."""
    try:
        said = read_json(data)
    except orjson.JSONDecodeError:
        return orjson.dumps({"error": data.decode("utf-8", "replace") or "the server does not say more"})
    return data if isinstance(said, dict) and said.get("error") else b'{"error":[%b]}' % data


class StreamAssembler:
    """Collects the chunks of one streamed answer. Raises ProviderError and nothing else.

    `finishing` holds the instances whose streams name a finish reason, and is kept up to date: from them a stream without one is no whole answer.
    """

    def __init__(self, received: Received, sent_at: float, finishing: set[str] | None = None) -> None:
        self._received = received
        self._sent_at = sent_at
        self._finishing = set() if finishing is None else finishing
        self._splitter = EventSplitter()
        self._head = b""
        self._done = False
        self._names: dict[str, object] = {}
        self._usage: object = None
        self._finish_reason: object = None
        self._content: list[str] = []
        self._texts: dict[str, list[str]] = {}
        self._parts: dict[str, GrowingParts] = {}
        self._fields: dict[str, object] = {}
        self._calls = GrowingCalls(received)
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
        choices = chunk.get("choices")
        if chunk.get("error"):
            return self._take_error(chunk, choices)
        if usage := chunk.get("usage"):
            self._usage = merge_usage(self._usage, usage)
        if not choices:
            return self._take_rarer_chunk(chunk)
        if not self._names:
            self._names = {name: chunk.get(name) for name in ("id", "model", "system_fingerprint")}
        choice = choices[0] if isinstance(choices, list) else None
        if not isinstance(choice, dict):
            raise self._broken("a chunk's choices have no shape that is known")
        if choice.get("index"):
            choice = choose_choice(choices)
            if not isinstance(choice, dict) or choice.get("index"):
                return None  # a second answer that was asked for with n: the first one counts
        if reason := choice.get("finish_reason"):
            self._finish(reason, choice, chunk)
        if (delta := choice.get("delta")) and self._add_delta(delta):
            self._stamp(now)
        return None

    @property
    def has_finished(self) -> bool:
        """The finish reason has come: the answer is whole, whatever happens to the connection now."""
        return self._finish_reason is not None

    def finish(self, connect_s: float) -> ChatResponse:
        """Read what was collected. Raises what `read_completion` raises, and Malformed where the stream ended early."""
        completion = self.completion()
        ttft_s = None if self.first_token_at is None else self.first_token_at - self._sent_at
        generation_s = self._last_token_at - (self.first_token_at or self._sent_at)
        timing = Timing(connect_s, ttft_s, generation_s, tuple(self._gaps_s))
        return read_completion(completion, replace(self._received, body=self._head), timing)

    def completion(self) -> dict[str, object]:
        """Join what was collected to the completion that an answer in one piece would be. Raises Malformed where the stream ended early."""
        instance = self._received.instance
        if self._finish_reason is not None:
            if instance not in self._finishing:
                self._finishing.add(instance)
        elif not self._done or instance in self._finishing:
            raise self._broken("the stream ended early")
        if not self._names:
            raise self._broken("the stream holds no answer, though it has an end")
        choice = {"index": 0, "finish_reason": self._finish_reason, "message": self._message()}
        return {**self._names, "choices": [choice], "usage": self._usage}

    def _parse(self, data: bytes) -> object:
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            return self._parse_leniently(data, error)

    def _parse_leniently(self, data: bytes, error: orjson.JSONDecodeError) -> object:
        try:
            return read_json(data)
        except orjson.JSONDecodeError:
            raise self._broken(f"an event is not JSON ({error.msg})") from error

    def _broken(self, what: str) -> ProviderError:
        return replace(self._received, body=self._head).malformed(what)

    def _take_error(self, chunk: Mapping[str, object], choices: object) -> None:
        """An error. Only after the tokens were used up it changes nothing: then the answer is cut off anyway."""
        choice = choices[0] if isinstance(choices, list) and choices else None
        if isinstance(choice, dict) and choice.get("finish_reason") == "length":
            self._finish_reason = "length"
        if self._finish_reason != "length":
            raise classify_error_body(chunk, replace(self._received, body=as_body(chunk)))
        self._names = self._names or {"id": chunk.get("id"), "model": chunk.get("model")}

    def _take_rarer_chunk(self, chunk: Mapping[str, object]) -> None:
        """A chunk without a choice: vLLM's and FastChat's errors, usage alone, Groq's beside its own."""
        if chunk.get("object") == "error":
            raise classify_error_body(chunk, replace(self._received, body=as_body(chunk)))
        self._take_vendor_usage(chunk.get("x_groq"))

    def _finish(self, reason: object, choice: Mapping[str, object], chunk: Mapping[str, object]) -> None:
        if reason in BROKEN_OFF:
            raise broken_off(choice, replace(self._received, body=as_body(chunk)))
        self._finish_reason = reason
        self._usage = merge_usage(self._usage, choice.get("usage"))
        self._take_vendor_usage(chunk.get("x_groq"))

    def _take_vendor_usage(self, vendor: object) -> None:
        if isinstance(vendor, dict):
            self._usage = merge_usage(self._usage, vendor.get("usage"))

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
            self._content.append(content)
            if len(delta) <= 2:  # with its role: most chunks end here
                return True
        return self._add_rarer_parts(delta, content)

    def _add_rarer_parts(self, delta: Mapping[str, object], content: object) -> bool:
        if content is not None and not isinstance(content, str | list):
            raise self._broken("a chunk's content is neither text nor a list of parts")
        has_token = bool(content)
        for name, value in delta.items():
            if not value or name == "role" or (name == "content" and isinstance(value, str)):
                continue
            if name == "tool_calls":
                self._calls.add(value)
            elif name == "function_call":
                self._calls.add([{"index": 0, "type": "function", "function": value}])
            elif not self._add_field(name, value):
                continue
            has_token = True
        return has_token

    def _add_field(self, name: str, value: object) -> bool:
        """Whether the field carries a token."""
        if isinstance(value, list):
            if name == "content":
                self._hold_content()
            self._parts.setdefault(name, GrowingParts()).add(value)
            return name == "content"
        if name in _GROWING_TEXTS and isinstance(value, str):
            self._texts.setdefault(name, []).append(value)
            return True
        self._fields[name] = value
        return False

    def _hold_content(self) -> None:
        """What came as plain text before a list of parts is a part."""
        if self._content:
            self._parts.setdefault("content", GrowingParts()).add([{"type": "text", "text": "".join(self._content)}])
            self._content = []

    def _message(self) -> dict[str, object]:
        if "content" in self._parts:
            self._hold_content()
        message: dict[str, object] = {"role": "assistant", "content": "".join(self._content), **self._fields}
        message |= {name: "".join(texts) for name, texts in self._texts.items()}
        message |= {name: parts.joined() for name, parts in self._parts.items()}
        if calls := self._calls.joined():
            message["tool_calls"] = calls
        return message
