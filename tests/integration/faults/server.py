"""A server that speaks bytes exactly as scripted, over plain sockets or TLS, and remembers what it was sent."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import cast

import orjson


class End(Enum):
    """How a connection ends; without one it is kept for the next request."""

    CLOSE = auto()
    RESET = auto()
    HANG = auto()
    """Silent, until the client goes."""


@dataclass(frozen=True, slots=True)
class Again:
    """A piece that is sent until the client goes."""

    piece: bytes
    pause_s: float = 0.0


Step = bytes | Again | End | float
"""A number is a pause in seconds."""
Script = Sequence[Step]


@dataclass(slots=True)
class FaultServer:
    """Answers by the deployment that is asked for: every request takes its next script, the last one stays."""

    scripts: Mapping[str, Sequence[Script]]
    heads: list[bytes] = field(default_factory=list)
    """Of every request, in the order of arrival."""
    greeting: bytes = b""
    """What is said on every connection before anything is asked."""
    asked: dict[str, int] = field(default_factory=dict)
    port: int = 0
    _open: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._open[task] = writer
        try:
            if self.greeting:
                await _write(writer, self.greeting)
            while await _perform(await self._script(reader), reader, writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass
        finally:
            writer.close()
            del self._open[task]

    async def aclose(self) -> None:
        """Break off every connection, and wait for it."""
        tasks = list(self._open)
        for writer in self._open.values():
            writer.transport.abort()
        await asyncio.gather(*tasks)

    async def _script(self, reader: asyncio.StreamReader) -> Script:
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = orjson.loads(await reader.readexactly(int(lengths[0].partition(b":")[2])))
        self.heads.append(head)
        name = str(body["model"])
        scripts, turn = self.scripts[name], self.asked.get(name, 0)
        self.asked[name] = turn + 1
        return scripts[min(turn, len(scripts) - 1)]


async def _perform(script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether the connection is kept."""
    for step in script:
        if isinstance(step, float):
            await asyncio.sleep(step)
        elif isinstance(step, bytes):
            await _write(writer, step)
        elif isinstance(step, Again):
            while True:
                await _write(writer, step.piece)
                await asyncio.sleep(step.pause_s)
        else:
            await _end(step, reader, writer)
            return False
    return True


async def _write(writer: asyncio.StreamWriter, piece: bytes) -> None:
    writer.write(piece)
    await writer.drain()


async def _end(end: End, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if end is End.RESET:
        found = writer.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    elif end is End.HANG:
        await reader.read()


@asynccontextmanager
async def serving(
    scripts: Mapping[str, Sequence[Script]], tls: ssl.SSLContext | None = None, greeting: bytes = b""
) -> AsyncIterator[FaultServer]:
    server = FaultServer(scripts, greeting=greeting)
    listener = await asyncio.start_server(
        server.handle, "127.0.0.1", 0, ssl=tls, ssl_handshake_timeout=5.0 if tls else None
    )
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await server.aclose()
