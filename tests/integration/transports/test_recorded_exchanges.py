"""What real endpoints sent comes through both transports as it was meant, however it is cut on the way."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable

import pytest

from providers.credentials import ApiKey
from providers.errors import ProviderError
from providers.instance import Instance
from providers.messages import ChatResponse
from providers.provider import Transport
from providers.route import Route, Timeouts
from providers.transport.native import NativeTransport
from providers.transport.sdk import SdkTransport
from tests.recorded_exchanges import (
    Recording,
    cut_awkwardly,
    cut_into_bytes,
    has_answer,
    is_error_in_success,
    needs_recordings,
    recordings,
    require_truth,
)

pytestmark = needs_recordings

READABLE = recordings(lambda each: has_answer(each) or is_error_in_success(each))
TRANSPORTS: dict[str, Callable[[Timeouts], Transport]] = {"native": NativeTransport, "sdk": SdkTransport}
PATIENT = Timeouts(connect_s=20.0, first_token_s=20.0, between_tokens_s=20.0)
CUTS: dict[str, Callable[[bytes], list[bytes]]] = {
    "whole": lambda body: [body],
    "awkwardly": cut_awkwardly,
    "into bytes": cut_into_bytes,
}
_OWN_HEADERS = frozenset({"content-length", "content-encoding", "transfer-encoding", "connection"})


class ReplayServer:
    """Answers every request with the recording of the moment, in the pieces of the moment."""

    def __init__(self) -> None:
        self.recording: Recording | None = None
        self.pieces: list[bytes] = []
        self.headers: dict[str, str] = {}
        self.port = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(next(int(line[15:]) for line in head.splitlines() if "content-length" in line))
        assert self.recording is not None
        told = {name: value for name, value in self.recording.headers.items() if name not in _OWN_HEADERS}
        told |= {"transfer-encoding": "chunked", "connection": "close", **self.headers}
        lines = [f"HTTP/1.1 {self.recording.status} Recorded", *(f"{name}: {value}" for name, value in told.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        for piece in self.pieces:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def ask(
        self, transport: Transport, recording: Recording, pieces: list[bytes]
    ) -> ChatResponse | ProviderError:
        self.recording, self.pieces = recording, pieces
        instance = Instance(f"east/{recording.name}", "m", "m", "east", "east/m")
        route = Route(instance, f"http://127.0.0.1:{self.port}/v1", ApiKey("SOME_KEY", "sk-very-secret-0123456789"))
        deadline = asyncio.get_running_loop().time() + 20.0
        try:
            return await transport.send(route, recording.request, request_id="s/0/1", deadline=deadline)
        except ProviderError as error:
            return error


@pytest.fixture
async def server() -> AsyncIterator[ReplayServer]:
    replay = ReplayServer()
    listener = await asyncio.start_server(replay.handle, "127.0.0.1", 0)
    replay.port = listener.sockets[0].getsockname()[1]
    yield replay
    listener.close()


@pytest.fixture(params=TRANSPORTS)
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    active = TRANSPORTS[request.param](PATIENT)
    yield active
    await active.aclose()


@pytest.mark.parametrize("recording", READABLE, ids=lambda each: each.name)
async def test_an_exchange_reads_as_it_was_meant_through_both(
    server: ReplayServer, transport: Transport, recording: Recording
) -> None:
    for cut in CUTS.values():
        require_truth(recording, await server.ask(transport, recording, cut(recording.body)))
    server.headers = {"content-encoding": "gzip"}
    require_truth(recording, await server.ask(transport, recording, cut_awkwardly(gzip.compress(recording.body))))
