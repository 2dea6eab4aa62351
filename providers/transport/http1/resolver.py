"""Looks up the addresses of one host, at most once in a few seconds, however many connections are opened."""

from __future__ import annotations

import asyncio
import socket
from collections import deque

AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int] | tuple[str, int, int, int]]
_KEPT_S = 10.0


class Resolver:
    """The addresses of one host and port."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()
        self._addresses: deque[AddressInfo] = deque()
        self._kept_until = 0.0

    async def addresses(self) -> list[AddressInfo]:
        """Return the addresses, another one first each time. Raises OSError; socket.gaierror where the name is not known."""
        async with self._lock:
            if self._loop.time() >= self._kept_until or not self._addresses:
                self._addresses = deque(await self._look_up())
                self._kept_until = self._loop.time() + _KEPT_S
        self._addresses.rotate(-1)
        return list(self._addresses)

    async def _look_up(self) -> list[AddressInfo]:
        try:
            numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
            return list(socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=numeric))  # type: ignore[arg-type]
        except socket.gaierror:
            flags = socket.AI_ADDRCONFIG
            found = await self._loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=flags)
            return list(found)  # type: ignore[arg-type]
