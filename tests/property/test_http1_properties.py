"""Whatever bytes a connection carries, a request ends in its own answer or in a ProviderError, and the next request gets none of them."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import Evidence, Malformed, ProviderError
from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse, Generation
from providers.route import Route, Timeouts
from providers.transport.http1.connection import Connection
from providers.transport.http1.deadlines import DeadlineSweep
from providers.transport.http1.failures import TransferFailed
from providers.transport.http1.response_parser import HEAD_BYTES, MAX_HEADERS
from providers.transport.http1_errors import map_failure
from providers.transport.native_call import NativeCall
from tests.integration.faults.answers import DONE, USAGE_CHUNK, choice, chunk

READ_BYTES = 2**18
"""The most that a loop gives to a protocol at once."""
ROUTE = Route(Instance("east/m", "m", "m", "east", "east/m"), "http://127.0.0.1/v1", None)


class MemoryTransport(asyncio.Transport):
    """A connection without a socket: it keeps what is written, and tells its protocol at once when it is closed."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self._is_closed

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self._is_closed

    def abort(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._connection.connection_lost(None)


class Pool:
    """Counts what a connection reports."""

    def __init__(self) -> None:
        self.returned = 0

    def put_back(self, connection: Connection) -> None:
        self.returned += 1

    def forget(self, connection: Connection) -> None:
        pass


class Wire:
    """One connection in memory, which carries requests and is fed with reads."""

    def __init__(self) -> None:
        self.pool = Pool()
        self.connection = Connection(DeadlineSweep(), self.pool)
        self.connection.connection_made(MemoryTransport(self.connection))

    def ask(self, *, stream: bool = False, payload: bytes = b"{}") -> NativeCall:
        now = asyncio.get_running_loop().time()
        request = ChatRequest([{"role": "user", "content": "hi"}], generation=Generation(stream=stream))
        call = NativeCall(ROUTE, request, "s/1/1", Timeouts(), now + 600, now)
        call.begin_connecting(now)
        call.begin_answer(now)
        self.connection.send(call, b"POST / HTTP/1.1\r\n\r\n", payload)
        return call

    def feed(self, reads: Sequence[bytes]) -> None:
        for data in reads:
            if not self.is_open:
                return
            self.connection.data_received(data)

    def hang_up(self) -> None:
        if self.is_open:
            self.connection.eof_received()

    @property
    def is_open(self) -> bool:
        transport = self.connection._transport
        return transport is not None and not transport.is_closing()


async def result_of(call: NativeCall) -> ChatResponse | ProviderError:
    """The answer or the error; the call must have ended already."""
    assert call.done.done()
    try:
        await call.done
        return call.answer()
    except TransferFailed as failure:
        return map_failure(failure, call.evidence())
    except ProviderError as error:
        return error


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as active:
        yield active


def ask_once(runner: asyncio.Runner, reads: Sequence[bytes], *, stream: bool = False) -> ChatResponse | ProviderError:
    async def main() -> ChatResponse | ProviderError:
        wire = Wire()
        call = wire.ask(stream=stream)
        wire.feed(reads)
        wire.hang_up()
        assert not wire.is_open or wire.pool.returned
        wire.connection.abort()
        return await result_of(call)

    return runner.run(main())


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    bounds = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[start:end] for start, end in pairwise(bounds) if start < end]


# ------------------------------------------------------------------ answers
def head(*lines: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode()


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nX-Trailer: 1\r\n\r\n"


def deflated(body: bytes, wbits: int) -> bytes:
    packer = zlib.compressobj(9, wbits=wbits)
    return packer.compress(body) + packer.flush()


JSON = "Content-Type: application/json"
SSE = "Content-Type: text/event-stream"
BODY = orjson.dumps(choice(content="42"))
EVENTS = chunk(content="4") + chunk(content="2") + chunk("stop") + USAGE_CHUNK + DONE
PACKED = {
    "gzip": gzip.compress(BODY),
    "x-gzip": gzip.compress(BODY[:20]) + gzip.compress(BODY[20:]),
    "deflate": deflated(BODY, -15),
    "Deflate": deflated(BODY, 15),
}
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\nContent-Length: 7\r\n\r\n"
FRAMED = {
    "a length": head(JSON, f"Content-Length: {len(BODY)}") + BODY,
    "chunks": head(JSON, "Transfer-Encoding: chunked") + chunked(BODY, 7),
    "interim answers": INTERIM + head(JSON, f"Content-Length: {len(BODY)}") + BODY,
    "a stream": head(SSE, "Transfer-Encoding: chunked") + chunked(EVENTS, 31),
    **{
        name: head(JSON, f"Content-Encoding: {name}", f"Content-Length: {len(packed)}") + packed
        for name, packed in PACKED.items()
    },
}
"""Answers that end by themselves."""
UNFRAMED = {
    "until the end": head(JSON, "Connection: close") + BODY,
    "HTTP/1.0": head(JSON).replace(b"HTTP/1.1", b"HTTP/1.0") + BODY,
    "gzip until the end": head(JSON, "Content-Encoding: gzip", "Connection: close") + PACKED["gzip"],
    "a closing length": head(JSON, "Connection: close", f"Content-Length: {len(BODY)}") + BODY,
}
VALID = FRAMED | UNFRAMED
places = st.lists(st.integers(0, 10_000), max_size=12)
kinds = st.sampled_from(sorted(VALID))


@given(kind=kinds, at=places)
def test_a_valid_answer_is_the_same_however_it_is_cut(runner: asyncio.Runner, kind: str, at: list[int]) -> None:
    response = ask_once(runner, cut(VALID[kind], at), stream=kind == "a stream")
    assert isinstance(response, ChatResponse), response
    assert response.text == "42"


@pytest.mark.parametrize("kind", VALID)
def test_a_valid_answer_is_read_byte_by_byte(runner: asyncio.Runner, kind: str) -> None:
    response = ask_once(runner, [bytes([byte]) for byte in VALID[kind]], stream=kind == "a stream")
    assert isinstance(response, ChatResponse), response
    assert response.text == "42"


@given(kind=kinds, end=st.integers(0, 10_000), at=places, stream=st.booleans())
def test_an_answer_that_ends_early_is_an_error_or_was_whole(
    runner: asyncio.Runner, kind: str, end: int, at: list[int], stream: bool
) -> None:
    answer = VALID[kind]
    response = ask_once(runner, cut(answer[: end % len(answer)], at), stream=stream)
    if isinstance(response, ChatResponse):  # the finish reason had arrived
        assert (kind, response.text) == ("a stream", "42")


@given(data=st.binary(max_size=300), at=places, stream=st.booleans())
def test_any_bytes_end_in_an_answer_or_an_error(
    runner: asyncio.Runner, data: bytes, at: list[int], stream: bool
) -> None:
    assert isinstance(ask_once(runner, cut(data, at), stream=stream), ProviderError)
    ask_once(runner, cut(b"HTTP/1.1 200 OK\r\n" + data, at), stream=stream)
    ask_once(runner, cut(head("Transfer-Encoding: chunked") + data, at), stream=stream)


@given(kind=kinds, place=st.integers(0, 10_000), data=st.binary(max_size=6), drop=st.integers(0, 6), at=places)
def test_a_damaged_answer_ends_in_an_answer_or_an_error(
    runner: asyncio.Runner, kind: str, place: int, data: bytes, drop: int, at: list[int]
) -> None:
    answer = VALID[kind]
    place %= len(answer)
    ask_once(runner, cut(answer[:place] + data + answer[place + drop :], at), stream=kind == "a stream")


# ------------------------------------------------------------------ the next request
tails = st.sampled_from([*FRAMED.values(), b"HTTP/1.1 200", b"\r\n", b"x", INTERIM]) | st.binary(
    min_size=1, max_size=60
)


@given(kind=st.sampled_from(sorted(FRAMED)), tail=tails, at=places, again=st.integers(0, 200))
def test_no_byte_reaches_the_next_request(
    runner: asyncio.Runner, kind: str, tail: bytes, at: list[int], again: int
) -> None:
    """The answer is followed by other bytes; where the connection is kept all the same, the next answer is its own."""

    async def main() -> None:
        wire = Wire()
        call = wire.ask(stream=kind == "a stream")
        wire.feed(cut(FRAMED[kind] + tail, at))
        await asyncio.sleep(0)
        if call.done.done():
            await result_of(call)
        if not wire.connection.is_usable:
            return
        assert call.done.done()
        assert not tail.strip(b"\r\n")  # blank lines belong to no answer
        own = orjson.dumps(choice(content="mine"))
        second = wire.ask()
        wire.feed(cut(head(JSON, f"Content-Length: {len(own)}") + own, [again]))
        response = await result_of(second)
        assert isinstance(response, ChatResponse)
        assert response.text == "mine"
        wire.connection.abort()

    runner.run(main())


@pytest.mark.parametrize("kind", VALID)
def test_only_an_answer_that_ended_by_itself_returns_its_connection(runner: asyncio.Runner, kind: str) -> None:
    async def main() -> int:
        wire = Wire()
        wire.ask(stream=kind == "a stream")
        wire.feed([VALID[kind]])
        wire.hang_up()
        wire.connection.abort()
        return wire.pool.returned

    assert runner.run(main()) == (1 if kind in FRAMED else 0)


def test_bytes_on_an_idle_connection_close_it(runner: asyncio.Runner) -> None:
    async def main() -> bool:
        wire = Wire()
        wire.ask()
        wire.feed([FRAMED["a length"]])
        assert wire.connection.is_usable
        wire.feed([FRAMED["a length"]])
        return wire.connection.is_usable

    assert not runner.run(main())


# ------------------------------------------------------------------ bounds
ENDLESS = {
    "a header": (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n"),
    "a reason": (b"HTTP/1.1 200 ", b"x"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "blank lines": (b"", b"\r\n"),
    "a chunk extension": (head(JSON, "Transfer-Encoding: chunked") + b"5;", b"x"),
    "trailers": (head(JSON, "Transfer-Encoding: chunked") + b"0\r\n", b"X-More: 1\r\n"),
}


@pytest.mark.parametrize("kind", ENDLESS)
@pytest.mark.parametrize("read_bytes", [100, READ_BYTES])
def test_what_never_comes_to_a_body_is_bounded(runner: asyncio.Runner, kind: str, read_bytes: int) -> None:
    start, piece = ENDLESS[kind]
    endless = piece * (read_bytes // len(piece) + 1)

    async def main() -> tuple[int, ProviderError | ChatResponse]:
        wire = Wire()
        call = wire.ask()
        wire.feed([start] if start else [])
        fed = 0
        while wire.is_open:
            wire.feed([endless])
            fed += len(endless)
            assert fed <= HEAD_BYTES + 2 * len(endless)
        return fed, await result_of(call)

    _, error = runner.run(main())
    assert isinstance(error, Malformed)
    assert error.evidence == Evidence("east/m", "s/1/1")


def test_a_head_with_too_many_headers_is_refused(runner: asyncio.Runner) -> None:
    lines = [f"X-{number}: 1" for number in range(MAX_HEADERS + 1)]
    error = ask_once(runner, [head(*lines, f"Content-Length: {len(BODY)}") + BODY])
    assert isinstance(error, Malformed)
    assert "proper HTTP" in str(error)


def test_a_head_of_one_read_is_bounded(runner: asyncio.Runner) -> None:
    error = ask_once(runner, [head(f"X-Long: {'x' * HEAD_BYTES}", f"Content-Length: {len(BODY)}") + BODY])
    assert isinstance(error, Malformed)
    assert "proper HTTP" in str(error)


@pytest.mark.parametrize("coding", ["gzip", "gzip, chunked", "identity"])
def test_an_unknown_transfer_encoding_is_refused(runner: asyncio.Runner, coding: str) -> None:
    error = ask_once(runner, [head(JSON, f"Transfer-Encoding: {coding}") + BODY])
    assert isinstance(error, Malformed)
