"""The server of the trial: every request meets another fault, drawn at random; every true answer names its request.

`python -m benchmarks.hostile.server` prints its port and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import gzip
import random
import socket
import struct
import sys
import zlib
from collections.abc import Awaitable, Callable

import orjson

_EARLY_BYTES = 4096
"""Bytes of a large body that are read before an early answer."""
_PAUSE_S = 0.002
POISON = "the answer of another request"

Behaviour = Callable[["Exchange"], Awaitable[bool]]
"""Returns whether the connection is kept."""


def _pack_zeros(megabytes: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()


_BOMB = _pack_zeros(64)


class Exchange:
    """One request and the connection that it arrived on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, *, stream: bool) -> None:
        self.reader = reader
        self.writer = writer
        self.name = name
        self.stream = stream

    async def write(self, data: bytes, pieces: int = 1) -> None:
        """Write data in pieces of random size, with pauses."""
        cuts = sorted(random.randrange(len(data) + 1) for _ in range(pieces - 1))
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            self.writer.write(data[start:end])
            await self.writer.drain()
            if pieces > 1:
                await asyncio.sleep(_PAUSE_S)


def answer(name: str, *, stream: bool, headers: str = "") -> bytes:
    """Build a whole answer whose text is `name`."""
    if not stream:
        body = completion(name)
        return _head(f"Content-Type: application/json\r\n{headers}Content-Length: {len(body)}\r\n") + body
    events = b"".join(_event(part, None) for part in (name[:3], name[3:])) + _event("", "stop") + b"data: [DONE]\n\n"
    size = random.randrange(1, 80)
    chunks = b"".join(_chunk(events[at : at + size]) for at in range(0, len(events), size))
    return _head(f"Content-Type: text/event-stream\r\n{headers}Transfer-Encoding: chunked\r\n") + chunks + b"0\r\n\r\n"


def completion(name: str) -> bytes:
    """Build the body of a whole answer."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": name}}
    return orjson.dumps(
        {"id": "c", "model": "m", "choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    )


def _head(headers: str, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}\r\n".encode()


def _event(text: str, finish_reason: str | None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
    return b"data: " + orjson.dumps({"id": "c", "model": "m", "choices": [choice]}) + b"\n\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


# ------------------------------------------------------------------ good answers
async def good(exchange: Exchange) -> bool:
    """Answer at once."""
    await exchange.write(answer(exchange.name, stream=exchange.stream))
    return True


async def split(exchange: Exchange) -> bool:
    """Answer in pieces, also of the head, behind interim answers."""
    interim = random.choice([b"", _head("", "100 Continue"), _head("Link: </x>\r\n", "103 Early Hints")])
    await exchange.write(interim + answer(exchange.name, stream=exchange.stream), pieces=random.randrange(2, 12))
    return True


async def compressed(exchange: Exchange) -> bool:
    """Compress although nobody asked."""
    body = gzip.compress(completion(exchange.name))
    headers = f"Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n"
    await exchange.write(_head(headers) + body)
    return True


async def until_close(exchange: Exchange) -> bool:
    """Answer without a length."""
    await exchange.write(
        _head("Content-Type: application/json\r\nConnection: close\r\n") + completion(exchange.name), 3
    )
    return False


async def close_behind(exchange: Exchange) -> bool:
    """Answer as if the connection were kept, and close it."""
    await good(exchange)
    return False


async def reset_behind(exchange: Exchange) -> bool:
    """Answer, and reset the connection a little later, where the next request may be on its way."""
    await good(exchange)
    await asyncio.sleep(random.random() * 0.01)
    return _reset(exchange)


# ------------------------------------------------------------------ faults
async def close(exchange: Exchange) -> bool:
    """Close without an answer."""
    exchange.writer.close()
    return False


async def reset(exchange: Exchange) -> bool:
    """Reset without an answer."""
    return _reset(exchange)


async def break_off(exchange: Exchange) -> bool:
    """Close or reset inside the answer."""
    whole = answer(exchange.name, stream=exchange.stream)
    await exchange.write(whole[: random.randrange(1, len(whole))], 2)
    return _reset(exchange) if random.random() < 0.5 else False


async def stall(exchange: Exchange) -> bool:
    """Fall silent before or inside the answer, until the client goes."""
    whole = answer(exchange.name, stream=exchange.stream)
    await exchange.write(whole[: random.choice([0, random.randrange(len(whole))])])
    await exchange.reader.read()
    return False


async def bomb(exchange: Exchange) -> bool:
    """Send 64 MB of zeros as a few bytes of gzip."""
    await exchange.write(_head(f"Content-Encoding: gzip\r\nContent-Length: {len(_BOMB)}\r\n") + _BOMB)
    return True


async def endless(exchange: Exchange) -> bool:
    """Send a header, headers, a body or an event without an end."""
    start = random.choice(
        [
            b"HTTP/1.1 200 OK\r\nX: ",
            _head("Content-Length: 99999999999\r\n"),
            _head("Content-Type: text/event-stream\r\n") + b"data: ",
        ]
    )
    await exchange.write(start)
    while True:
        await exchange.write(b"x" * 2**16)
        await asyncio.sleep(0)


async def garbage(exchange: Exchange) -> bool:
    """Send bytes that are no HTTP, or a broken chunk."""
    start = random.choice([b"", b"HTTP/1.1 200 OK\r\n", _head("Transfer-Encoding: chunked\r\n")])
    await exchange.write(start + random.randbytes(200))
    return False


async def refuse(exchange: Exchange) -> bool:
    """Answer with an error status."""
    status = random.choice(["400 Bad Request", "429 Too Many Requests", "500 Oops", "503 Busy"])
    await exchange.write(_head("Content-Length: 2\r\n", status) + b"{}")
    return True


async def say_twice(exchange: Exchange) -> bool:
    """Send another answer behind the answer, in the same write or later, when the connection may be idle."""
    if random.random() < 0.5:
        await exchange.write(answer(exchange.name, stream=exchange.stream) + answer(POISON, stream=False))
    else:
        await good(exchange)
        await asyncio.sleep(random.random() * 0.002)
        await exchange.write(answer(POISON, stream=exchange.stream)[: random.randrange(1, 60)])
    return True


def _reset(exchange: Exchange) -> bool:
    exchange.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.writer.transport.abort()
    return False


GOOD: tuple[Behaviour, ...] = (good, split, compressed, until_close, close_behind, reset_behind)
FAULTS: tuple[Behaviour, ...] = (close, reset, break_off, stall, bomb, endless, garbage, refuse, say_twice)


# ------------------------------------------------------------------ server
async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
            length, name = int(headers[b"content-length"]), headers[b"x-orchestrator-request"].decode()
            is_early = length > 2**17 and random.random() < 0.5
            body = await reader.readexactly(_EARLY_BYTES if is_early else length)
            exchange = Exchange(
                reader, writer, name, stream=b'"stream":true' in body[:_EARLY_BYTES] + body[-_EARLY_BYTES:]
            )
            behaviour = random.choice(GOOD if random.random() < 0.7 else FAULTS)
            is_kept = await behaviour(exchange)
            if is_early and is_kept:
                await reader.readexactly(length - _EARLY_BYTES)
            if not is_kept:
                return
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        pass
    finally:
        writer.close()


async def _serve() -> None:
    server = await asyncio.start_server(serve_connection, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
