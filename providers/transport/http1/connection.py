"""One connection: it writes a request, parses the answer as it arrives and feeds it to the request's reader.

Invariant: no byte of an answer reaches another request. A connection is used again only after an answer whose framing ended exactly, whose
request was written in full, and behind which nothing followed; bytes that arrive while it is idle close it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol, cast

from .body import BodyDecoder, choose_decoder
from .deadlines import DeadlineSweep
from .failures import BrokenHttp, ConnectionClosed, DamagedBody, TransferFailed
from .response_parser import ResponseParser

IDLE_S = 15.0
"""An idle connection is closed after this time; servers close theirs after one to a few minutes."""
_SLICE = 2**18
"""A longer body is written in slices, as the connection takes them."""


class ResponseReader(Protocol):
    """The receiver of one answer. It settles once and ignores what comes later."""

    expires_at: float
    is_settled: bool

    def head(self, status: int, headers: Mapping[str, str], now: float) -> None:
        """Take status and headers; the names are in lower case."""
        ...

    def body(self, piece: bytes, now: float) -> None:
        """Take a decoded piece of the body."""
        ...

    def end(self, now: float) -> None:
        """Settle: the answer is complete."""
        ...

    def lose(self, error: TransferFailed, now: float) -> None:
        """Settle: no more of the answer will arrive."""
        ...

    def expire(self, now: float) -> None:
        """Settle: the time is over."""
        ...


class ConnectionOwner(Protocol):
    """The pool of a connection."""

    def put_back(self, connection: Connection) -> None:
        """Take a connection that can carry another request."""
        ...

    def forget(self, connection: Connection) -> None:
        """Drop a connection that has ended."""
        ...


class Connection(asyncio.Protocol):
    """A protocol that carries one request at a time."""

    def __init__(self, sweep: DeadlineSweep, owner: ConnectionOwner) -> None:
        self._loop = asyncio.get_running_loop()
        self._sweep = sweep
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._parser = ResponseParser()
        self._reader: ResponseReader | None = None
        self._decoder: BodyDecoder | None = None
        self._has_head = False
        self._is_heard = False
        self._is_reused = False
        self._idle_until = self._loop.time() + IDLE_S
        self._unsent: memoryview | None = None
        self._is_paused = False
        self._unasked: BrokenHttp | None = None
        """Set where the server spoke before it was asked."""

    # ------------------------------------------------------------------ used by the pool and by requests
    @property
    def is_usable(self) -> bool:
        """Whether the connection is open and idle."""
        return self._reader is None and self._transport is not None and not self._transport.is_closing()

    @property
    def expires_at(self) -> float:
        """When the request expires, or the idle connection."""
        return self._reader.expires_at if self._reader is not None else self._idle_until

    def send(self, reader: ResponseReader, head: bytes, payload: bytes) -> None:
        """Write a request on a connection from the pool and feed the answer to `reader`."""
        transport = self._transport
        if transport is None or transport.is_closing():  # a new connection may end before its request
            reader.lose(self._unasked or ConnectionClosed(None), self._loop.time())
            return
        self._reader = reader
        self._sweep.notice(reader.expires_at)
        if len(payload) <= _SLICE:
            transport.write(head + payload)
            return
        self._unsent = memoryview(payload)
        transport.write(head)
        self._write_more()

    def withdraw(self, reader: ResponseReader) -> None:
        """Close the connection, unless the answer to `reader` has ended already."""
        if self._reader is reader:
            self._reader = None
            self.abort()

    def abort(self) -> None:
        """Close the connection at once."""
        self._unsent = None
        if self._transport is not None:
            self._transport.abort()

    def expire(self) -> None:
        """End the request whose time is over, or the idle connection."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.expire(self._loop.time())
        self.abort()

    # ------------------------------------------------------------------ called by the loop
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to watch the connection."""
        self._transport = cast(asyncio.Transport, transport)
        self._sweep.add(self)
        self._sweep.notice(self._idle_until)

    def connection_lost(self, error: Exception | None) -> None:
        """End the request that still waits."""
        self._transport = self._unsent = None
        self._sweep.remove(self)
        self._end_early(error)
        self._owner.forget(self)

    def eof_received(self) -> None:
        """End the answer: the server sends nothing more."""
        self._end_early(None)
        self.abort()

    def pause_writing(self) -> None:
        """Stop to write slices."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """Write the next slices."""
        self._is_paused = False
        self._write_more()

    def data_received(self, data: bytes) -> None:
        """Feed the answer to the reader; close an idle connection, because nobody asked."""
        reader, now = self._reader, self._loop.time()
        if reader is None:
            self._unasked = BrokenHttp("bytes without a request")
            self.abort()
            return
        self._is_heard = True
        try:
            self._read(reader, data, now)
        except (BrokenHttp, DamagedBody) as error:
            reader.lose(error, now)
            self._reader = None
            self.abort()
            return
        if reader.is_settled:
            self._finish(now)
        elif reader.expires_at < self._sweep.next_at:
            self._sweep.notice(reader.expires_at)

    # ------------------------------------------------------------------ private
    def _read(self, reader: ResponseReader, data: bytes, now: float) -> None:
        """Parse a read and deliver what it holds, also where it breaks off in an error. Raises BrokenHttp, DamagedBody."""
        parser, error = self._parser, None
        try:
            parser.feed(data)
        except BrokenHttp as broken:
            error = broken
        if parser.status and not self._has_head:
            self._has_head = True
            reader.head(parser.status, parser.headers, now)
            self._decoder = choose_decoder(parser.headers)
        if pieces := parser.pieces:
            piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            if self._decoder is None:
                reader.body(piece, now)
            else:
                self._decode(self._decoder, reader, piece, now)
        if error is not None:
            raise error
        if parser.is_complete:
            self._end(reader, now)

    @staticmethod
    def _decode(decoder: BodyDecoder, reader: ResponseReader, piece: bytes, now: float) -> None:
        for decoded in decoder.feed(piece):
            reader.body(decoded, now)
            if reader.is_settled:
                return

    def _end(self, reader: ResponseReader, now: float) -> None:
        if self._decoder is not None and not reader.is_settled:
            self._decoder.check_end()
        reader.end(now)

    def _finish(self, now: float) -> None:
        """Return the connection to its pool after an answer, or close it."""
        self._reader = None
        parser, transport = self._parser, self._transport
        is_clean = parser.is_complete and parser.keeps_alive and not parser.has_surplus
        if not is_clean or self._unsent is not None or transport is None or transport.get_write_buffer_size():
            self.abort()
            return
        parser.reset()
        self._decoder = None
        self._has_head = self._is_heard = False
        self._is_reused = True
        self._idle_until = now + IDLE_S
        self._sweep.notice(self._idle_until)
        self._owner.put_back(self)

    def _end_early(self, error: Exception | None) -> None:
        reader, self._reader = self._reader, None
        if reader is None:
            return
        now = self._loop.time()
        try:
            if error is None and self._parser.ends_with_connection:
                self._end(reader, now)
                return
        except DamagedBody as damage:
            reader.lose(damage, now)
            return
        reader.lose(ConnectionClosed(error, is_stale=self._is_reused and not self._is_heard), now)

    def _write_more(self) -> None:
        while self._unsent is not None and not self._is_paused and self._transport is not None:
            piece, rest = self._unsent[:_SLICE], self._unsent[_SLICE:]
            self._unsent = rest if rest else None
            self._transport.write(piece)
