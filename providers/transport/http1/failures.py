"""What can go wrong below a whole answer. None of these messages holds text of a server."""

from __future__ import annotations


class TransferFailed(Exception):
    """The base class: a connection did not deliver a whole answer."""


class ConnectFailed(TransferFailed):
    """No connection could be opened; `cause` is the error of the system or of TLS."""

    def __init__(self, host: str, port: int, cause: Exception, *, is_proxy: bool = False) -> None:
        super().__init__(f"no connection to {host}:{port}")
        self.host = host
        self.port = port
        self.cause = cause
        self.is_proxy = is_proxy


class ProxyRefused(TransferFailed):
    """The proxy answered CONNECT with another status than 2xx."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the proxy refused the tunnel (HTTP {status})")
        self.status = status


class ConnectionClosed(TransferFailed):
    """The connection ended before the answer was complete; `cause` is None where the server closed it in good order.

    `is_stale` is true where the connection had been used before and not one byte of an answer arrived: the server has most likely closed
    it while it was idle.
    """

    def __init__(self, cause: Exception | None, *, is_stale: bool = False) -> None:
        super().__init__("the connection ended early")
        self.cause = cause
        self.is_stale = is_stale


class BrokenHttp(TransferFailed):
    """The server's bytes are not an HTTP/1 answer within the limits."""


class DamagedBody(TransferFailed):
    """The body ended early, or its content encoding is damaged or unknown."""
