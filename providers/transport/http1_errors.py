"""Maps the failures of the HTTP/1.1 client to the project's errors."""

from __future__ import annotations

from ..credentials import SignInFailed
from ..errors import ConnectionLost, Evidence, Malformed, ProviderError, Unreachable
from .http1.failures import BrokenHttp, ConnectFailed, ConnectionClosed, DamagedBody, ProxyRefused, TransferFailed
from .unreachable import ABOUT_PROXIES, why_unconnected


def map_failure(failure: TransferFailed | SignInFailed, evidence: Evidence) -> ProviderError:
    """Map a failure to a ProviderError. The server's text is not repeated, because it may echo a header."""
    name = evidence.instance
    match failure:
        case SignInFailed():
            return Unreachable(f"{name}: {failure}", evidence)
        case ConnectFailed():
            why = why_unconnected(failure.host, failure.port, failure.cause, is_proxy=failure.is_proxy)
            return Unreachable(f"{name}: {why}", evidence)
        case ProxyRefused():
            refusal = f"the proxy refuses the connection to the server (HTTP {failure.status})"
            return Unreachable(f"{name}: {refusal}; {ABOUT_PROXIES}", evidence)
        case BrokenHttp():
            # What was read of such an answer may belong to anything, so the evidence holds none of it.
            unread = Evidence(name, evidence.request_id, resent=evidence.resent)
            return Malformed(
                f"{name}: the server does not speak proper HTTP (is the address right, http or https?)", unread
            )
        case DamagedBody():
            return Malformed(f"{name}: the answer was cut short or is damaged", evidence)
        case ConnectionClosed(cause=None):
            return ConnectionLost(f"{name}: the server closed the connection without an answer", evidence)
        case ConnectionClosed():
            return ConnectionLost(f"{name}: the connection broke ({type(failure.cause).__name__})", evidence)
    return ConnectionLost(f"{name}: the connection broke ({type(failure).__name__})", evidence)
