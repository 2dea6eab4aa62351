"""Server-sent events: bytes become the data of events, however they are cut.

An event counts when its blank line has come, so that a stream that is torn off never yields half an event.
"""

from __future__ import annotations

from typing import Final

import orjson

from ..json_text import BYTE_ORDER_MARK, read_json
from ..received import MAX_ANSWER_BYTES, Oversized

MAX_EVENT_BYTES: Final = 4 * 2**20
"""One event with log-probabilities and citations stays far below; a line without an end must not fill the memory."""


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
        """Make every line end a newline: servers use CR LF, LF or CR."""
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
    """Write the data of an error event as an error object."""
    try:
        said = read_json(data)
    except orjson.JSONDecodeError:
        said, data = True, orjson.dumps(data.decode("utf-8", "replace") or "the server does not say more")
    if isinstance(said, dict) and said.get("error"):
        return data
    return b'{"error":%b}' % (data if said else b'"the server does not say more"')
