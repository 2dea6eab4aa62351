"""Other people's exceptions, named as ours: the one place where aiohttp's errors end. The SDK's have aiohttp's underneath."""

from __future__ import annotations

from typing import Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from ..credentials import SignInFailed
from ..errors import ConnectionLost, Evidence, Malformed, ProviderError, TimedOut, Unreachable
from ..wire.errors.refusals import tell
from ..wire.received import Oversized

FOREIGN: Final = (aiohttp.ClientError, HttpProcessingError, OSError, Oversized)
"""All that sending a request and reading its answer may raise, cancellation apart."""

_ABOUT_PROXIES = "HTTP_PROXY, HTTPS_PROXY and NO_PROXY say where it stands and what goes past it"
_BROKEN_HTTP = (aiohttp.ClientResponseError, aiohttp.InvalidURL, HttpProcessingError)


def map_transport_error(error: BaseException, evidence: Evidence) -> ProviderError:
    """Name a foreign error as one of ours. What the server wrote is not repeated: it may echo a header."""
    name = evidence.instance
    if isinstance(error, SignInFailed):
        return Unreachable(f"{name}: {error}", evidence)
    if isinstance(error, aiohttp.ServerTimeoutError):
        return TimedOut(f"{name}: no connection in time", evidence, stage="connect")
    if isinstance(error, Oversized):
        return Malformed(f"{name}: {error}", evidence)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return Unreachable(
            f"{name}: the proxy refuses the way to the server (HTTP {error.status}); {_ABOUT_PROXIES}", evidence
        )
    if isinstance(error, _BROKEN_HTTP):
        return Malformed(
            f"{name}: the server does not speak proper HTTP (is the address right, http or https?)", evidence
        )
    if isinstance(error, aiohttp.ClientPayloadError):
        return Malformed(f"{name}: the answer was cut short or is damaged", evidence)
    if isinstance(error, aiohttp.ClientConnectorError):
        return Unreachable(f"{name}: {tell(_why_unconnected(error))}", evidence)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return ConnectionLost(f"{name}: the server closed the connection without an answer", evidence)
    return ConnectionLost(f"{name}: the connection broke ({type(error).__name__})", evidence)


def _why_unconnected(error: aiohttp.ClientConnectorError) -> str:
    """In words that say what to look at; the system's own where there are none."""
    host, there = error.host, f"{error.host}:{error.port}"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return (
            f"no connection to the proxy {there} ({error.strerror or type(error.os_error).__name__}); {_ABOUT_PROXIES}"
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name {host} is not known (DNS): is it spelt right, and is there a network?"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", "") or "no reason given"
        return f"the certificate of {there} is not trusted: {why.rstrip('.')} (ca_file names certificates to trust)"
    if isinstance(error, aiohttp.ClientSSLError):
        why = (getattr(error.os_error, "reason", None) or "").replace("_", " ").lower()
        return f"no TLS with {there} ({why or 'the handshake broke off'}): does it speak https?"
    if isinstance(error.os_error, ConnectionRefusedError):
        return f"{there} refuses connections: does the server run there?"
    return f"no connection to {there} ({error.strerror or type(error.os_error).__name__})"
