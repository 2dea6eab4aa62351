"""Splits bytes into server-sent events, however the bytes are divided into chunks.

An event is complete when its blank line is received, so that a stream that breaks off never yields half an event.
"""

from __future__ import annotations

from typing import Final

import orjson

from ..json_text import BYTE_ORDER_MARK, read_json
from ..received import MAX_ANSWER_BYTES, Oversized

MAX_EVENT_BYTES: Final = 4 * 2**20
"""Largest event. Events with log-probabilities and citations are far smaller; an endless line must not fill the memory."""


class EventSplitter:
    """A parser of server-sent events that returns their data. The data of an event of type error is wrapped in an `error` object."""

    __slots__ = ("_after_return", "_data", "_data_bytes", "_is_error", "_length", "_pending", "_pending_bytes")

    def __init__(self) -> None:
        self._pending: list[bytes] = []
        """The pieces of a line whose end was not received yet."""
        self._pending_bytes = 0
        self._data: list[bytes] = []
        """The data lines of the event whose blank line was not received yet."""
        self._data_bytes = 0
        self._length = 0
        self._is_error = False
        self._after_return = False
        """Whether the last byte was a carriage return: a newline that follows belongs to it."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Add a chunk and return the data of the events that it completes. Raises Oversized where an event or the stream is too long."""
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
        self._take_line(b"".join((*self._pending, first)) if self._pending else first, events)
        for line in rest[:-1]:
            self._take_line(line, events)
        self._pending, self._pending_bytes = [], 0
        if rest[-1] or self._data:
            self._hold(rest[-1])
        return events

    def _with_newlines(self, chunk: bytes) -> bytes:
        """Convert line ends to newlines: servers use CR LF, LF or CR."""
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
        if not line:
            if self._data or self._is_error:
                data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                events.append(_as_error(data) if self._is_error else data)
                self._data, self._data_bytes, self._is_error = [], 0, False
        elif line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            self._data_bytes += len(line)
        else:
            self._take_rarer_line(line, events)

    def _take_rarer_line(self, line: bytes, events: list[bytes]) -> None:
        name, _, value = line.partition(b":")
        if name.startswith(BYTE_ORDER_MARK):
            self._take_line(line.lstrip(BYTE_ORDER_MARK), events)
        elif name == b"event":
            self._is_error = value.strip() == b"error"
        elif name == b"error":  # llama.cpp puts an error where others have an event
            events.append(_as_error(value.strip()))


def _as_error(data: bytes) -> bytes:
    """Wrap the data of an error event in an error object."""
    try:
        error = read_json(data)
    except orjson.JSONDecodeError:
        error, data = True, orjson.dumps(data.decode("utf-8", "replace") or "the server does not say more")
    if isinstance(error, dict) and error.get("error"):
        return data
    return b'{"error":%b}' % (data if error else b'"the server does not say more"')
