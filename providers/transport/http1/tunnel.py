"""Asks a proxy for a tunnel with CONNECT. The answer is read here and not by the parser: it has no body, whatever its headers say."""

from __future__ import annotations

import asyncio
import re

from .failures import BrokenHttp, ConnectionClosed, ProxyRefused
from .origin import Origin

_HEAD_BYTES = 2**14
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: |\r?\n)")
_END = re.compile(rb"\r?\n\r?\n")


class TunnelRequest(asyncio.Protocol):
    """The protocol of a connection to a proxy until the tunnel is open."""

    def __init__(self) -> None:
        self._answer = b""
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ask(self, transport: asyncio.Transport, origin: Origin, authorization: str | None) -> None:
        """Open the tunnel. Raises ProxyRefused, BrokenHttp, ConnectionClosed."""
        lines = [f"CONNECT {origin.host_and_port} HTTP/1.1", f"Host: {origin.host_and_port}"]
        if authorization is not None:
            lines.append(f"Proxy-Authorization: {authorization}")
        transport.write("\r\n".join([*lines, "", ""]).encode())
        await self._opened

    def data_received(self, data: bytes) -> None:
        """Read the head of the proxy's answer."""
        self._answer += data
        try:
            is_open = _is_open(self._answer)
        except (BrokenHttp, ProxyRefused) as error:
            self._fail(error)
        else:
            if is_open and not self._opened.done():
                self._opened.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail where the proxy has not answered."""
        self._fail(ConnectionClosed(error))

    def _fail(self, error: Exception) -> None:
        if not self._opened.done():
            self._opened.set_exception(error)


def _is_open(answer: bytes) -> bool:
    """Return whether the head is complete. Raises ProxyRefused, and BrokenHttp where something follows the head."""
    end = _END.search(answer)
    if end is None:
        if len(answer) > _HEAD_BYTES:
            raise BrokenHttp("the proxy's head is too long")
        return False
    status = _STATUS.match(answer)
    if status is None:
        raise BrokenHttp("the proxy does not speak HTTP/1")
    if not status[1].startswith(b"2"):
        raise ProxyRefused(int(status[1]))
    if end.end() < len(answer):
        raise BrokenHttp("the proxy says more than its head")
    return True
