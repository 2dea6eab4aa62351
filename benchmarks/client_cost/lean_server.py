"""A chat-completions server with minimal overhead: every request of a workload gets the same answer after the same delay.

HTTP/1.1 with keep-alive on a bare asyncio.Protocol. The first part of the path is the name of the workload: `/stream63/v1/...`; the paths
of `cpu_meter.py` read the client's CPU clock. It prints its port and serves until its standard input ends.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import cast

import uvloop

from ..cores import SERVER_CORE, pin
from .cpu_meter import METER, CpuMeter
from .workloads import CHUNK_S, WORKLOADS

_BACKLOG = 4_096


def all_responses() -> dict[str, tuple[bytes, ...]]:
    """Build the pieces of every workload's response."""
    return {name: workload.response_pieces() for name, workload in WORKLOADS.items()}


def request_length(data: bytes | bytearray) -> int | None:
    """Return the length in bytes of the first request in `data` with its body; None while its head is incomplete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    at = head.find(b"content-length:")
    length = 0 if at < 0 else int(head[at + 15 :].split(b"\r\n", 1)[0])
    return end + 4 + length


def path_of(request: bytes | bytearray) -> str:
    """Return the request's path."""
    return request[: request.index(b"\r\n")].split(b" ", 2)[1].decode()


class ServerConnection(asyncio.Protocol):
    """Answers whole requests. No client here sends a second request before the first is answered."""

    def __init__(self, responses: Mapping[str, Sequence[bytes]], delay_s: float, meter: CpuMeter | None = None) -> None:
        self._responses = responses
        self._delay_s = delay_s
        self._meter = meter or CpuMeter()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.WriteTransport | None = None
        self._received = bytearray()
        self._wanted: int | None = None
        """Length of the request that is being received."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # what asyncio and uvloop pass for TCP

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        while True:
            self._wanted = self._wanted or request_length(received)
            if self._wanted is None or len(received) < self._wanted:
                return
            self._take(path_of(received))
            del received[: self._wanted]
            self._wanted = None

    def _take(self, path: str) -> None:
        workload = path.split("/", 2)[1]
        if workload == METER:
            body = self._meter.answer(path)
            self._respond([b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)], 0)
            return
        self._meter.count()
        self._loop.call_later(self._delay_s, self._respond, self._responses[workload], 0)

    def _respond(self, pieces: Sequence[bytes], number: int) -> None:
        if self._transport is None:
            return
        self._transport.write(pieces[number])
        if number + 1 < len(pieces):
            self._loop.call_later(CHUNK_S, self._respond, pieces, number + 1)


async def _serve(delay_s: float) -> None:
    loop, responses, meter = asyncio.get_running_loop(), all_responses(), CpuMeter()
    server = await loop.create_server(
        lambda: ServerConnection(responses, delay_s, meter), "127.0.0.1", 0, backlog=_BACKLOG
    )
    async with server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await loop.run_in_executor(None, sys.stdin.buffer.read)


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=0.25, metavar="SECONDS")
    delay_s: float = parser.parse_args().delay
    pin(SERVER_CORE)
    uvloop.run(_serve(delay_s))


if __name__ == "__main__":
    main()
