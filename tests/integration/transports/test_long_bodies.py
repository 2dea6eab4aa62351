"""What a long request holds in memory while it is in flight."""

from __future__ import annotations

import asyncio
import tracemalloc

from providers.credentials import ApiKey
from providers.instance import Instance
from providers.messages import ChatRequest, Generation
from providers.route import Route, Timeouts
from providers.transport.native import NativeTransport

PROMPT = "long context " * 80_000


async def test_a_long_body_in_flight_holds_its_bytes_and_no_reserve() -> None:
    has_arrived, is_over = asyncio.Event(), asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        has_arrived.set()
        await is_over.wait()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    instance = Instance("east/m", "m", "m", "east", "east/m")
    route = Route(instance, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", ApiKey("SOME_KEY", "secret"))
    request = ChatRequest([{"role": "user", "content": PROMPT}], generation=Generation(max_tokens=16))
    transport, deadline = NativeTransport(Timeouts()), asyncio.get_running_loop().time() + 60
    tracemalloc.start()
    try:
        sending = asyncio.create_task(transport.send(route, request, request_id="sample/0/1", deadline=deadline))
        await has_arrived.wait()
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        is_over.set()
    await asyncio.gather(sending, return_exceptions=True)
    await transport.aclose()
    server.close()
    assert held_bytes < 4 * len(PROMPT)
