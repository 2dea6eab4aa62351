"""Maps aiohttp's exceptions to the project's errors, for the SDK transport: the SDK's errors have aiohttp's as their cause."""

from __future__ import annotations

from typing import Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from ..credentials import SignInFailed
from ..errors import ConnectionLost, Evidence, Malformed, ProviderError, TimedOut, Unreachable
from ..wire.received import Oversized
from .unreachable import ABOUT_PROXIES, why_unconnected

FOREIGN: Final = (aiohttp.ClientError, HttpProcessingError, OSError, Oversized)
"""Everything that sending a request and reading its answer may raise, except cancellation."""

_BROKEN_HTTP = (aiohttp.ClientResponseError, aiohttp.InvalidURL, HttpProcessingError)


def map_transport_error(error: BaseException, evidence: Evidence) -> ProviderError:
    """Map a foreign error to a ProviderError. The server's text is not repeated, because it may echo a header."""
    name = evidence.instance
    if isinstance(error, SignInFailed):
        return Unreachable(f"{name}: {error}", evidence)
    if isinstance(error, aiohttp.ServerTimeoutError):
        return TimedOut(f"{name}: no connection in time", evidence, stage="connect")
    if isinstance(error, Oversized):
        return Malformed(f"{name}: {error}", evidence)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return Unreachable(
            f"{name}: the proxy refuses the connection to the server (HTTP {error.status}); {ABOUT_PROXIES}", evidence
        )
    if isinstance(error, _BROKEN_HTTP):
        return Malformed(
            f"{name}: the server does not speak proper HTTP (is the address right, http or https?)", evidence
        )
    if isinstance(error, aiohttp.ClientPayloadError):
        return Malformed(f"{name}: the answer was cut short or is damaged", evidence)
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = getattr(error, "certificate_error", None) or error.os_error
        is_proxy = isinstance(error, aiohttp.ClientProxyConnectionError)
        return Unreachable(f"{name}: {why_unconnected(error.host, error.port, cause, is_proxy=is_proxy)}", evidence)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return ConnectionLost(f"{name}: the server closed the connection without an answer", evidence)
    return ConnectionLost(f"{name}: the connection broke ({type(error).__name__})", evidence)
