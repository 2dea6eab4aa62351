"""Opens connections to one origin: addresses, TCP, a proxy's tunnel, TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import aiohappyeyeballs

from .connection import Connection
from .failures import ConnectFailed
from .origin import Origin
from .resolver import Resolver
from .tunnel import TunnelRequest

_NEXT_ADDRESS_S = 0.25
"""The next address of a host is tried after this time (RFC 8305)."""


@dataclass(frozen=True, slots=True)
class ProxyServer:
    """The proxy of an origin."""

    origin: Origin
    authorization: str | None


class Connector:
    """Opens connections to one origin, through a proxy where there is one."""

    def __init__(self, origin: Origin, proxy: ProxyServer | None, tls: Callable[[], ssl.SSLContext]) -> None:
        self._origin = origin
        self._proxy = proxy
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        first = proxy.origin if proxy else origin
        self._resolver = Resolver(first.host, first.port)

    async def open(self, connection: Connection) -> None:
        """Open a connection. Raises ConnectFailed, ProxyRefused, BrokenHttp, ConnectionClosed."""
        proxy = self._proxy
        if proxy is None or self._origin.is_forwarded:
            await self._connect(connection, proxy.origin if proxy else self._origin)
            return
        request = TunnelRequest()
        transport = await self._connect(request, proxy.origin)
        try:
            await request.ask(transport, self._origin, proxy.authorization)
            await self._start_tls(transport, connection)
        except BaseException:
            transport.abort()
            raise

    async def _connect(self, protocol: asyncio.Protocol, origin: Origin) -> asyncio.Transport:
        """Connect to the origin or to the proxy."""
        context = self._tls() if origin.is_tls else None
        try:
            sock = await self._dial()
            name = origin.host.rstrip(".") if context else None
            transport, _ = await self._loop.create_connection(
                lambda: protocol, sock=sock, ssl=context, server_hostname=name
            )
        except OSError as error:  # ssl.SSLError and socket.gaierror among them
            is_proxy = self._proxy is not None and origin is self._proxy.origin
            raise ConnectFailed(origin.host, origin.port, error, is_proxy=is_proxy) from error
        return transport

    async def _dial(self) -> socket.socket:
        sock = await aiohappyeyeballs.start_connection(
            await self._resolver.addresses(), happy_eyeballs_delay=_NEXT_ADDRESS_S, interleave=1, loop=self._loop
        )
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return sock

    async def _start_tls(self, transport: asyncio.Transport, connection: Connection) -> None:
        """Start TLS with the origin inside the tunnel."""
        origin = self._origin
        try:
            tls = await self._loop.start_tls(
                transport, connection, self._tls(), server_hostname=origin.host.rstrip(".")
            )
        except OSError as error:
            raise ConnectFailed(origin.host, origin.port, error) from error
        if tls is None:
            raise ConnectFailed(origin.host, origin.port, ConnectionResetError())
        connection.connection_made(tls)
