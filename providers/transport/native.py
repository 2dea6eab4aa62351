"""The hot path: aiohttp and orjson, one session for all routes. Everything that is the same for every request is made once per route."""

from __future__ import annotations

import io
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
import orjson
from multidict import CIMultiDict
from yarl import URL

from ..errors import Evidence, ProviderError
from ..messages import ChatRequest, ChatResponse, Timing
from ..provider import Route, Timeouts
from .clock import CallClock
from .failures import classify_failure
from .foreign import FOREIGN, map_transport_error
from .received import ERROR_BODY_BYTES, MAX_ANSWER_BYTES, Oversized, Received, parse_json
from .sse import StreamAssembler
from .wire import build_payload, is_event_stream, read_completion

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_LARGE_BODY = 2**20
"""aiohttp writes larger bodies piece by piece, so that they do not hold the loop."""

_CLOCK: ContextVar[CallClock] = ContextVar("_CLOCK")
"""The clock of the call that this task makes: how the connector tells that a connection is there."""


class _ClockedConnector(aiohttp.TCPConnector):
    """Tells the call when its connection stands, without the events of every other phase that aiohttp's TraceConfig would send."""

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout) -> Connection:
        connection = await super().connect(req, traces, timeout)
        _CLOCK.get().connected()
        return connection


@dataclass(frozen=True, slots=True)
class _Address:
    """What of a route is the same for every request."""

    url: URL
    headers: CIMultiDict[str]


@dataclass(frozen=True, slots=True)
class _Call:
    route: Route
    request: ChatRequest
    request_id: str
    secret: str

    def received(self, response: aiohttp.ClientResponse, body: bytes = b"") -> Received:
        name, status, headers = self.route.instance.name, response.status, response.headers
        return Received(name, self.request_id, self.request, status, headers, body, self.secret)


class NativeTransport:
    """The wire of one provider; implements Transport.

    `connections` bounds the open ones; 0 keeps as many alive as there are requests in flight. Redirects are never followed: the key
    goes to the host that the user named and to no other.
    """

    def __init__(self, timeouts: Timeouts, connections: int | None = 0, *, verify_tls: bool = True) -> None:
        self._timeouts = timeouts
        self._connections = connections or 0
        self._verify_tls = verify_tls
        self._session: aiohttp.ClientSession | None = None
        self._addresses: dict[str, _Address] = {}

    async def send(self, route: Route, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        """Send one request and read its whole answer. Raises ProviderError and nothing else."""
        clock = CallClock(self._timeouts, deadline)
        _CLOCK.set(clock)
        try:
            async with clock.timer:
                return await self._exchange(route, request, request_id, clock)
        except FOREIGN as error:
            evidence = Evidence(route.instance.name, request_id)
            raise self._explain(error, clock, evidence) from error

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    @staticmethod
    def _explain(error: BaseException, clock: CallClock, evidence: Evidence) -> ProviderError:
        return clock.timed_out(evidence) if clock.expired else map_transport_error(error, evidence)

    async def _exchange(self, route: Route, request: ChatRequest, request_id: str, clock: CallClock) -> ChatResponse:
        address = self._addresses.get(route.instance.name) or self._add_address(route)
        headers = address.headers.copy()
        headers["x-request-id"] = headers["x-client-request-id"] = request_id
        secret = ""
        if route.credential is not None:
            name, value = route.credential.header(route.auth)
            headers[name] = value
            secret = value.removeprefix("Bearer ")
        payload = orjson.dumps(build_payload(route, request))
        data = payload if len(payload) <= _LARGE_BODY else io.BytesIO(payload)
        call = _Call(route, request, request_id, secret)
        session = self._session or self._open_session()
        async with session.post(address.url, data=data, headers=headers, allow_redirects=False) as response:
            return await self._read(response, call, clock)

    async def _read(self, response: aiohttp.ClientResponse, call: _Call, clock: CallClock) -> ChatResponse:
        if not 200 <= response.status < 300:
            raise classify_failure(call.received(response, await _read_start(response, clock)))
        if is_event_stream(response.headers.get("Content-Type", ""), call.request):
            return await _read_stream(response, call, clock)
        received = call.received(response, await _read_whole(response, clock))
        ended_at = clock.now()
        answer = parse_json(received)
        timing = Timing(clock.connect_s, None, ended_at - clock.sent_at, parse_s=clock.now() - ended_at)
        return read_completion(answer, received, timing)

    def _open_session(self) -> aiohttp.ClientSession:
        connector = _ClockedConnector(limit=self._connections, ssl=self._verify_tls)
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=None)
        )
        return self._session

    def _add_address(self, route: Route) -> _Address:
        query = f"?api-version={route.api_version}" if route.api_version else ""
        url = URL(f"{route.base_url}/chat/completions{query}", encoded=True)
        headers = CIMultiDict({"Content-Type": "application/json", **route.headers})
        return self._addresses.setdefault(route.instance.name, _Address(url, headers))


async def _read_whole(response: aiohttp.ClientResponse, clock: CallClock) -> bytes:
    """The body to its end; raises Oversized where it has none. Most answers are there already and take one step."""
    content = response.content
    body = await content.readany()
    if content.at_eof():
        return body
    pieces, length = [body], len(body)
    while not content.at_eof():
        clock.heard(clock.now())
        piece = await content.readany()
        pieces.append(piece)
        length += len(piece)
        if length > MAX_ANSWER_BYTES:
            raise Oversized(f"the answer is longer than {MAX_ANSWER_BYTES // 2**20} MB")
    return b"".join(pieces)


async def _read_start(response: aiohttp.ClientResponse, clock: CallClock) -> bytes:
    """As much of an error as anybody will read: a long error page must not hide its status."""
    body = b""
    while len(body) < ERROR_BODY_BYTES and not response.content.at_eof():
        clock.heard(clock.now())
        body += await response.content.readany()
    return body


async def _read_stream(response: aiohttp.ClientResponse, call: _Call, clock: CallClock) -> ChatResponse:
    assembler = StreamAssembler(call.received(response), clock.sent_at)
    content, now = response.content, clock.now
    while chunk := await content.readany():
        at = now()
        assembler.feed(chunk, at)
        if assembler.first_token_at is not None:
            clock.heard(at)
    return assembler.finish(clock.connect_s)
