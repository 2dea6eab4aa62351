"""The head of a request: the lines that all requests of a route share are built once, as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from .origin import Origin

_DEFAULTS = {"Accept": "*/*", "User-Agent": "llm-batch-orchestrator"}
"""Sent unless the user sets them. Some gateways refuse requests without a User-Agent."""
_FIXED = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
_IN_ADDRESSES = "!$%&'()*+,-./:;=?@_~#[]"
"""Characters of an address that stay as they are."""


class RequestHead:
    """Builds the heads of the requests to one address."""

    __slots__ = ("_auth_line", "_auth_value", "_start")

    def __init__(self, origin: Origin, path: str, headers: Mapping[str, str], proxy_authorization: str | None) -> None:
        """`path` may have a query. `proxy_authorization` is not None only where the request itself goes to a proxy."""
        address = quote(path, safe=_IN_ADDRESSES)
        target = f"http://{origin.authority}{address}" if origin.is_forwarded else address
        own = {name.lower() for name in headers}
        fields = {"Host": origin.authority, **{n: v for n, v in _DEFAULTS.items() if n.lower() not in own}, **_FIXED}
        fields |= headers
        if proxy_authorization is not None:
            fields["Proxy-Authorization"] = proxy_authorization
        lines = [f"POST {target} HTTP/1.1", *(f"{name}: {_checked(value)}" for name, value in fields.items()), ""]
        self._start = "\r\n".join(lines).encode()
        self._auth_value = ""
        self._auth_line = b""

    def build(self, varying: bytes, credential: tuple[str, str] | None, length: int) -> bytes:
        """Build the head of a request with a body of `length` bytes; `varying` holds whole header lines."""
        if credential is None:
            return b"%bContent-Length: %d\r\n%b\r\n" % (self._start, length, varying)
        name, value = credential
        if value != self._auth_value:
            self._auth_line = f"{name}: {_checked(value)}\r\n".encode()
            self._auth_value = value
        return b"%b%bContent-Length: %d\r\n%b\r\n" % (self._start, self._auth_line, length, varying)


def header_line(name: str, value: str) -> bytes:
    """Build one header line. Raises ValueError where the value would end the line."""
    return f"{name}: {_checked(value)}\r\n".encode()


def _checked(value: str) -> str:
    if "\r" in value or "\n" in value or "\0" in value:
        raise ValueError("the value of a header contains a line break")
    return value
