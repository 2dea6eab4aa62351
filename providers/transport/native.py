"""The fast transport: our HTTP/1.1 client and orjson. Values that all requests of a route share are built once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import orjson

from ..credentials import SignInFailed
from ..errors import ProviderError
from ..masking import Masking
from ..messages import ChatRequest, ChatResponse
from ..provider import SYSTEM_TRUST, Trust
from ..route import Route, Timeouts
from .formats import FORMATS
from .http1.connection import Connection
from .http1.connector import Connector, ProxyServer
from .http1.deadlines import DeadlineSweep
from .http1.failures import ConnectionClosed, TransferFailed
from .http1.heads import RequestHead, header_line
from .http1.limit import ConnectionLimit
from .http1.origin import Origin, parse_origin
from .http1.pool import ConnectionPool
from .http1_errors import map_failure
from .native_call import NativeCall
from .network import Proxy
from .request_ids import WHOLE_ID_HEADER, may_be_simulator, wire_id

if TYPE_CHECKING:
    import ssl

LONG_BODY_BYTES = 1 << 16
"""Size from which a body is copied: `orjson.dumps` reserves eight times the memory of a text and keeps it as long as its bytes live."""


@dataclass(slots=True)
class _Destination:
    """What all requests of a route share."""

    pool: ConnectionPool
    head: RequestHead
    takes_whole_id: bool
    masking: Masking = field(repr=False)
    """Masks the secret values among the headers, and the key that last signed a request."""
    signed_with: str = field(default="", repr=False)


class NativeTransport:
    """The transport of one provider over HTTP/1.1; implements Transport.

    `connections` limits the connections in use; 0 means no limit. Redirects are never followed: the key is sent only to the host that
    the user named.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        connections: int | None = 0,
        trust: Trust = SYSTEM_TRUST,
        proxy: Proxy | None = None,
    ) -> None:
        self._timeouts = timeouts
        self._limit = ConnectionLimit(connections or 0)
        self._trust = trust
        self._proxy = proxy
        self._tls_context: ssl.SSLContext | None = None
        self._sweep: DeadlineSweep | None = None
        self._destinations: dict[str, _Destination] = {}
        self._pools: dict[Origin, ConnectionPool] = {}
        self._finishing: set[str] = set()
        """Instances whose streams name a finish reason."""

    async def send(self, route: Route, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        """Send one request and read its whole answer. Raises ProviderError and nothing else."""
        destination = self._destinations.get(route.instance.name) or self._add_destination(route)
        loop = asyncio.get_running_loop()
        call = NativeCall(
            route, request, request_id, route.timeouts or self._timeouts, deadline, loop.time(),
            masking=destination.masking, finishing=self._finishing,
        )  # fmt: skip
        try:
            payload = orjson.dumps(FORMATS[route.operation].build(route, request))
            size = len(payload)
            if size > LONG_BODY_BYTES:
                payload = bytes(memoryview(payload))
            head = _build_head(destination, call, size)
            try:
                await _exchange(call, destination.pool, head, payload)
            except ConnectionClosed as closed:
                if not closed.is_stale:
                    raise
                call.resent += 1
                await _exchange(call, destination.pool, head, payload)
            return call.answer()
        except (TransferFailed, SignInFailed) as failure:
            raise map_failure(failure, call.evidence()) from failure
        except ProviderError as error:
            if call.resent:
                error.evidence = replace(error.evidence, resent=call.resent)
            raise

    async def aclose(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            await pool.aclose()

    def _add_destination(self, route: Route) -> _Destination:
        query = f"?api-version={route.api_version}" if route.api_version else ""
        origin = parse_origin(route.base_url, is_proxied=self._proxy is not None)
        path = urlsplit(route.base_url).path + FORMATS[route.operation].path + query
        authorization = self._proxy.authorization if self._proxy and origin.is_forwarded else None
        head = RequestHead(origin, path, route.own_headers(), authorization)
        pool = self._pools.get(origin) or self._pools.setdefault(origin, self._open_pool(origin))
        destination = _Destination(pool, head, may_be_simulator(route.base_url), Masking(route.own_secrets()))
        return self._destinations.setdefault(route.instance.name, destination)

    def _open_pool(self, origin: Origin) -> ConnectionPool:
        proxy = ProxyServer(parse_origin(self._proxy.url), self._proxy.authorization) if self._proxy else None
        self._sweep = self._sweep or DeadlineSweep()
        return ConnectionPool(Connector(origin, proxy, self._tls), self._sweep, self._limit)

    def _tls(self) -> ssl.SSLContext:
        """Return the one TLS context; OpenSSL is imported with the first."""
        if self._tls_context is None:
            from .tls import tls_context

            self._tls_context = tls_context(self._trust)
        return self._tls_context


async def _exchange(call: NativeCall, pool: ConnectionPool, head: bytes, payload: bytes) -> None:
    """Send the request and wait for the end of its answer. A cancelled task closes its connection."""
    loop = asyncio.get_running_loop()
    now = loop.time()
    call.begin_connecting(now)
    connection = None if call.resent else pool.take()
    if connection is None:
        connection, now = await _open(call, pool), loop.time()
    call.begin_answer(now)
    connection.send(call, head, payload)
    try:
        await call.done
    finally:
        connection.withdraw(call)


async def _open(call: NativeCall, pool: ConnectionPool) -> Connection:
    """Wait for a connection; one that is sent again gets no pooled one, because the others of the pool may be closed as well."""
    try:
        async with asyncio.timeout_at(call.expires_at) as timer:
            return await pool.acquire(fresh=call.resent > 0)
    except TimeoutError as error:
        if timer.expired():
            raise call.timed_out() from error
        raise


def _build_head(destination: _Destination, call: NativeCall, length: int) -> bytes:
    """Build the request's head; raises SignInFailed."""
    route = call.route
    wired = wire_id(call.request_id).encode()
    varying = b"x-request-id: %b\r\nx-client-request-id: %b\r\n" % (wired, wired)
    if destination.takes_whole_id:
        varying += header_line(WHOLE_ID_HEADER, call.request_id)
    if route.credential is None:
        return destination.head.build(varying, None, length)
    signature = route.credential.header(route.auth)
    if signature[1] != destination.signed_with:  # the first request, or a token that was renewed
        destination.signed_with = signature[1]
        destination.masking = Masking((signature[1].removeprefix("Bearer "), *route.own_secrets()))
    call.masking = destination.masking
    return destination.head.build(varying, signature, length)
