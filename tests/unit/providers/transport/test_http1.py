"""The parts of the HTTP/1.1 client, each alone: the limit, the sweep of deadlines, and the writing of large bodies."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

import pytest

from providers.transport.http1.connection import Connection
from providers.transport.http1.deadlines import DeadlineSweep
from providers.transport.http1.failures import BrokenHttp, ConnectionClosed
from providers.transport.http1.heads import RequestHead, header_line
from providers.transport.http1.limit import ConnectionLimit
from providers.transport.http1.origin import parse_origin
from tests.property.test_http1_properties import BODY, JSON, Wire, head

ANSWER = head(JSON, f"Content-Length: {len(BODY)}") + BODY
LARGE = bytes(2**20)


@dataclass(eq=False)
class Item:
    """Ends at a time and remembers when it did."""

    expires_at: float
    sweep: DeadlineSweep
    ended_at: float | None = None

    def expire(self) -> None:
        self.ended_at = asyncio.get_running_loop().time()
        self.sweep.remove(self)


async def test_those_who_wait_for_a_place_get_it_in_their_order() -> None:
    limit, served = ConnectionLimit(1), list[int]()
    assert limit.take()

    async def wait(number: int) -> None:
        await limit.wait()
        served.append(number)
        limit.release()

    tasks = [asyncio.create_task(wait(number)) for number in range(3)]
    await asyncio.sleep(0)
    assert not limit.take()
    limit.release()
    assert not limit.take()  # the place is the first one's already
    await asyncio.gather(*tasks)
    assert served == [0, 1, 2]
    assert limit.take()


@pytest.mark.parametrize("is_given", [False, True])
async def test_a_cancelled_waiter_keeps_no_place(is_given: bool) -> None:
    limit = ConnectionLimit(1)
    assert limit.take()
    waiter = asyncio.create_task(limit.wait())
    await asyncio.sleep(0)
    if is_given:
        limit.release()
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    if not is_given:
        limit.release()
    assert limit.take()


@pytest.mark.looptime
async def test_each_item_ends_when_its_own_time_has_come() -> None:
    sweep = DeadlineSweep()
    now = asyncio.get_running_loop().time()
    items = [Item(now + after, sweep) for after in (3.0, 1.0, 7.0)]
    for item in items:
        sweep.add(item)
        sweep.notice(item.expires_at)
    items[1].expires_at = now + 5.0  # the sweep at 1 s finds nothing
    items[2].expires_at = now + 2.0
    sweep.notice(items[2].expires_at)
    await asyncio.sleep(10)
    assert [item.ended_at for item in items] == pytest.approx([now + 3.0, now + 5.0, now + 2.0], abs=0.02)
    assert sweep.next_at == math.inf


class SlowTransport(asyncio.Transport):
    """Takes a slice and pauses its protocol, until it is told to go on."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self.written = bytearray()
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data
        if len(self.written) > 100:
            self._connection.pause_writing()

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.is_closed

    def abort(self) -> None:
        self.is_closed = True


def open_slowly(wire: Wire) -> SlowTransport:
    transport = SlowTransport(wire.connection)
    wire.connection.connection_made(transport)
    return transport


async def test_a_large_body_is_written_as_the_connection_takes_it() -> None:
    wire = Wire()
    transport = open_slowly(wire)
    call = wire.ask(payload=LARGE)
    sizes = [len(transport.written)]
    while len(transport.written) < len(LARGE):
        wire.connection.resume_writing()
        sizes.append(len(transport.written))
    assert len(sizes) == 4
    assert transport.written.endswith(LARGE)
    wire.feed([ANSWER])
    assert call.answer().text == "42"
    assert wire.pool.returned == 1


async def test_an_answer_before_the_request_is_written_counts_and_its_connection_does_not() -> None:
    wire = Wire()
    transport = open_slowly(wire)
    call = wire.ask(payload=LARGE)
    wire.feed([ANSWER])
    assert call.answer().text == "42"
    assert (transport.is_closed, wire.pool.returned) == (True, 0)
    written = len(transport.written)
    wire.connection.resume_writing()
    assert len(transport.written) == written


async def test_a_connection_that_spoke_unasked_carries_no_request() -> None:
    wire = Wire()
    wire.feed([b"220 mail.example ESMTP\r\n"])
    with pytest.raises(BrokenHttp):
        await wire.ask().done


async def test_only_a_used_connection_without_a_byte_of_an_answer_is_stale() -> None:
    for answers, start, is_stale in ((0, b"", False), (1, b"", True), (1, b"HTTP/1.1", False)):
        wire = Wire()
        for _ in range(answers):
            wire.ask()
            wire.feed([ANSWER])
        call = wire.ask()
        wire.feed([start] if start else [])
        wire.hang_up()
        with pytest.raises(ConnectionClosed) as caught:
            await call.done
        assert caught.value.is_stale is is_stale


async def test_a_withdrawn_call_closes_its_own_connection_only() -> None:
    wire = Wire()
    first = wire.ask()
    wire.feed([ANSWER])
    second = wire.ask()
    wire.connection.withdraw(first)
    assert wire.is_open
    wire.connection.withdraw(second)
    assert not wire.is_open


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://api.example:443/v1", "api.example"),
        ("http://api.example:8080", "api.example:8080"),
        ("http://[::1]:8000/v1", "[::1]:8000"),
        ("https://größe.example", "xn--gre-6ka8i.example"),
    ],
)
def test_the_host_of_an_address_is_named_as_http_asks(url: str, authority: str) -> None:
    assert parse_origin(url).authority == authority


def test_a_person_s_own_agent_replaces_ours() -> None:
    built = RequestHead(parse_origin("http://a.example"), "/v 1/größe?x=1", {"user-agent": "mine"}, None).build(
        b"", None, 3
    )
    assert built.startswith(b"POST /v%201/gr%C3%B6%C3%9Fe?x=1 HTTP/1.1\r\nHost: a.example\r\n")
    assert built.lower().count(b"user-agent") == 1
    assert built.endswith(b"Content-Length: 3\r\n\r\n")


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b"])
def test_a_header_cannot_be_split(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        header_line("X", value)
