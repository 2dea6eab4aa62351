"""The hot path: aiohttp and orjson, one session for all routes. Everything that is the same for every request is made once per route."""

from __future__ import annotations

import io
from collections.abc import Coroutine
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import aiohttp
import orjson
from multidict import CIMultiDict
from yarl import URL

from ..errors import BODY_LIMIT, Evidence, ProviderError
from ..messages import ChatRequest, ChatResponse, Timing
from ..network import Proxy
from ..provider import SYSTEM_TRUST, Trust
from ..route import Route, Timeouts
from ..wire.body import parse_json
from ..wire.chat import is_event_stream
from ..wire.errors.refusals import classify_failure
from ..wire.received import ERROR_BODY_BYTES, MAX_ANSWER_BYTES, Oversized, Received
from .aiohttp_errors import FOREIGN, map_transport_error
from .clock import CallClock
from .formats import FORMATS
from .request_ids import WHOLE_ID_HEADER, may_be_simulator, wire_id
from .tls import tls_context

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ClientRequest, ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_LARGE_BODY = 2**20
"""aiohttp writes larger bodies piece by piece, so that they do not hold the loop."""

_CALL: ContextVar[_NativeCall] = ContextVar("_CALL")
"""The call that this task makes: how the connector tells that a connection is there, and whether it is a new one."""


class _ClockedConnector(aiohttp.TCPConnector):
    """Tells the call when its connection stands, without the events of every other phase that aiohttp's TraceConfig would send."""

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout) -> Connection:
        connection = await super().connect(req, traces, timeout)
        _CALL.get().clock.connected()
        return connection

    def _get(self, key: ConnectionKey, traces: list[Trace]) -> Coroutine[object, object, Connection | None]:
        """None for a request that has met a connection as it closed: the others of the pool may be as old."""
        return _none() if _CALL.get().resent else super()._get(key, traces)

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        _CALL.get().is_fresh = True
        return await super()._create_connection(req, traces, timeout)


async def _none() -> None:
    return None


_CLOSED = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionResetError, BrokenPipeError)
"""Without a byte of an answer on a connection that was used before, this is most likely a server that had closed it meanwhile: the
request goes out once more, on a new one. That is no attempt, but the server may have taken the first: `resent` says so."""


@dataclass(frozen=True, slots=True)
class _Address:
    """What of a route is the same for every request."""

    url: URL
    headers: CIMultiDict[str]
    secrets: tuple[str, ...] = field(repr=False)
    """Among the headers."""
    takes_whole_id: bool


@dataclass(slots=True)
class _NativeCall:
    """One call, and what has come of it so far: an answer that breaks off is explained with what there is."""

    route: Route
    request: ChatRequest
    request_id: str
    clock: CallClock
    secret: str = field(default="", repr=False)
    other_secrets: tuple[str, ...] = field(default=(), repr=False)
    response: aiohttp.ClientResponse | None = None
    start: bytes = b""
    """Of the body; kept only where it comes in several pieces."""
    is_fresh: bool = False
    """The connection was made for this call."""
    resent: int = 0

    def received(self, response: aiohttp.ClientResponse, body: bytes = b"") -> Received:
        name, status, headers = self.route.instance.name, response.status, response.headers
        return Received(name, self.request_id, self.request, status, headers, body, self.secret, self.other_secrets)

    def evidence(self) -> Evidence:
        if self.response is None:
            return Evidence(self.route.instance.name, self.request_id)
        return self.received(self.response, self.start).evidence()

    def heard(self, piece: bytes) -> None:
        if len(self.start) < BODY_LIMIT:
            self.start += piece[:BODY_LIMIT]


class NativeTransport:
    """The wire of one provider; implements Transport.

    `connections` bounds the open ones; 0 keeps as many alive as there are requests in flight. Redirects are never followed: the key
    goes to the host that the user named and to no other.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        connections: int | None = 0,
        trust: Trust = SYSTEM_TRUST,
        proxy: Proxy | None = None,
    ) -> None:
        self._timeouts = timeouts
        self._connections = connections or 0
        self._trust = trust
        self._proxy = proxy
        self._session: aiohttp.ClientSession | None = None
        self._addresses: dict[str, _Address] = {}
        self._finishing: set[str] = set()
        """Instances whose streams name a finish reason."""

    async def send(self, route: Route, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        """Send one request and read its whole answer. Raises ProviderError and nothing else."""
        timeouts = route.timeouts or self._timeouts
        clock = CallClock(timeouts, deadline, is_streamed=request.generation.stream)
        call = _NativeCall(route, request, request_id, clock)
        _CALL.set(call)
        try:
            async with call.clock.timer:
                try:
                    return await self._exchange(call)
                except _CLOSED:
                    if call.is_fresh or call.response is not None:
                        raise
                    call.resent += 1
                    response = await self._exchange(call)
                    return replace(response, timing=replace(response.timing, resent=call.resent))
        except FOREIGN as error:
            raise _explain(error, call) from error
        except ProviderError as error:
            if call.resent:
                error.evidence = replace(error.evidence, resent=call.resent)
            raise

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def _exchange(self, call: _NativeCall) -> ChatResponse:
        route = call.route
        address = self._addresses.get(route.instance.name) or self._add_address(route)
        headers, call.other_secrets = address.headers.copy(), address.secrets
        headers["x-request-id"] = headers["x-client-request-id"] = wire_id(call.request_id)
        if address.takes_whole_id:
            headers[WHOLE_ID_HEADER] = call.request_id
        if route.credential is not None:
            name, value = route.credential.header(route.auth)
            headers[name] = value
            call.secret = value.removeprefix("Bearer ")
        payload = orjson.dumps(FORMATS[route.operation].build(route, call.request))
        data = payload if len(payload) <= _LARGE_BODY else io.BytesIO(payload)
        session = self._session or self._open_session()
        async with session.post(address.url, data=data, headers=headers, allow_redirects=False) as response:
            call.response = response
            return await self._read(response, call)

    async def _read(self, response: aiohttp.ClientResponse, call: _NativeCall) -> ChatResponse:
        clock = call.clock
        if not 200 <= response.status < 300:
            raise classify_failure(call.received(response, await _read_start(response, clock)))
        if is_event_stream(response.headers.get("Content-Type", ""), call.request):
            return await _read_stream(response, call, self._finishing)
        received = call.received(response, await _read_whole(response, call))
        ended_at = clock.now()
        answer = parse_json(received)
        timing = Timing(clock.connect_s, None, ended_at - clock.sent_at, parse_s=clock.now() - ended_at)
        return FORMATS[call.route.operation].read(answer, received, timing)

    def _open_session(self) -> aiohttp.ClientSession:
        connector = _ClockedConnector(limit=self._connections, ssl=tls_context(self._trust))
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            proxy=URL(self._proxy.url) if self._proxy else None,
        )
        return self._session

    def _add_address(self, route: Route) -> _Address:
        query = f"?api-version={route.api_version}" if route.api_version else ""
        url = URL(f"{route.base_url}{FORMATS[route.operation].path}{query}", encoded=True)
        headers = CIMultiDict({"Content-Type": "application/json", **route.own_headers()})
        address = _Address(url, headers, route.own_secrets(), may_be_simulator(route.base_url))
        return self._addresses.setdefault(route.instance.name, address)


def _explain(error: BaseException, call: _NativeCall) -> ProviderError:
    evidence = replace(call.evidence(), resent=call.resent)
    return call.clock.timed_out(evidence) if call.clock.expired else map_transport_error(error, evidence)


async def _read_whole(response: aiohttp.ClientResponse, call: _NativeCall) -> bytes:
    """The body to its end; raises Oversized where it has none. Most answers are there already and take one step."""
    content = response.content
    body = await content.readany()
    if content.at_eof():
        return body
    pieces, length, clock = [body], len(body), call.clock
    call.heard(body)
    while not content.at_eof():
        clock.heard(clock.now())
        piece = await content.readany()
        call.heard(piece)
        pieces.append(piece)
        length += len(piece)
        if length > MAX_ANSWER_BYTES:
            raise Oversized(f"the answer is longer than {MAX_ANSWER_BYTES // 2**20} MB")
    return b"".join(pieces)


async def _read_start(response: aiohttp.ClientResponse, clock: CallClock) -> bytes:
    """As much of an error as anybody will read: a page that is long, stalls or breaks off must not hide its status."""
    body = b""
    while len(body) < ERROR_BODY_BYTES and (piece := await _read_tail(response.content, clock)):
        clock.heard(clock.now())
        body += piece
    return body


async def _read_stream(response: aiohttp.ClientResponse, call: _NativeCall, finishing: set[str]) -> ChatResponse:
    clock = call.clock
    assembler = FORMATS[call.route.operation].assemble(call.received(response), clock.sent_at, finishing)
    content, now = response.content, clock.now
    while chunk := await (_read_tail(content, clock) if assembler.has_finished else content.readany()):
        at = now()
        call.heard(chunk)
        assembler.feed(chunk, at)
        if assembler.first_token_at is not None:
            clock.heard(at)
    return assembler.finish(clock.connect_s)


async def _read_tail(content: aiohttp.StreamReader, clock: CallClock) -> bytes:
    """What adds to an answer but does not decide it: what follows its finish reason, or its error status. Empty at the end."""
    with suppress(*FOREIGN):
        async with clock.tail():
            return await content.readany()
    return b""
