"""A relay in front of the server, which counts for all clients alike: answers, refusals, and when they came."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ANSWERED, REFUSED, UNREACHABLE = 200, 429, 502
_IDLE_S = 2.0
"""Connections are closed after less idle time than a server would wait, so that no request meets a closing one."""
_HOP_BY_HOP = {"host", "connection", "content-length", "transfer-encoding", "keep-alive"}


@dataclass(slots=True)
class Count:
    """What one client was answered."""

    statuses: Counter[int] = field(default_factory=Counter)
    first_sent_at: float | None = None
    last_answered_at: float = 0.0
    """Both by the clock of the loop."""
    first_refusal: dict[str, object] | None = None
    """Headers and body."""

    @property
    def answers(self) -> int:
        """Requests that were answered."""
        return self.statuses[ANSWERED]

    @property
    def refused(self) -> int:
        """Requests that were refused with 429."""
        return self.statuses[REFUSED]

    @property
    def failed(self) -> int:
        """Requests with another status."""
        return self.statuses.total() - self.answers - self.refused


class Meter:
    """Forwards requests to `target` and notes the answers in `count`, which a new client replaces."""

    def __init__(self, target: str, session: aiohttp.ClientSession) -> None:
        self._target = target
        self._session = session
        self.count = Count()

    async def forward(self, request: web.Request) -> web.Response:
        """Forward one request as it is."""
        count, loop = self.count, asyncio.get_running_loop()
        count.first_sent_at = count.first_sent_at or loop.time()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        url, body = f"{self._target}{request.rel_url}", await request.read()
        try:
            async with self._session.request(request.method, url, data=body, headers=headers) as answer:
                content = await answer.read()
        except aiohttp.ClientError as error:
            count.statuses[UNREACHABLE] += 1
            return web.Response(status=UNREACHABLE, text=str(error))
        kept = [(str(name), value) for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP]
        count.statuses[answer.status] += 1
        if answer.status == ANSWERED:
            count.last_answered_at = loop.time()
        elif answer.status == REFUSED and count.first_refusal is None:
            count.first_refusal = {"headers": dict(kept), "body": content.decode()}
        return web.Response(status=answer.status, body=content, headers=dict(kept))


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    """Serve a handler on a free port and yield its address, without a path."""
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def metered(target: str) -> AsyncIterator[tuple[Meter, str]]:
    """Serve a meter in front of `target` and yield it with its address."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_S),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=120),
    ) as session:
        meter = Meter(target, session)
        async with served(meter.forward) as url:
            yield meter, url
