"""The sentences about connections that could not be opened, for both transports: what happened and what to check."""

from __future__ import annotations

import socket
import ssl

from ..wire.errors.refusals import tell

ABOUT_PROXIES = "HTTP_PROXY, HTTPS_PROXY and NO_PROXY configure the proxy"


def why_unconnected(host: str, port: int | None, cause: BaseException, *, is_proxy: bool = False) -> str:
    """Describe why there is no connection and what to check; fall back to the system's message."""
    there = f"{host}:{port}"
    text = getattr(cause, "strerror", None) or type(cause).__name__
    if is_proxy and not isinstance(cause, ssl.SSLError):
        return tell(f"no connection to the proxy {there} ({text}); {ABOUT_PROXIES}")
    if isinstance(cause, socket.gaierror):
        return tell(f"the name {host} is not known (DNS): check its spelling and the network")
    if isinstance(cause, ssl.CertificateError):
        why = (getattr(cause, "verify_message", "") or "no reason given").rstrip(".")
        return tell(f"the certificate of {there} is not trusted: {why} (set ca_file to trust further certificates)")
    if isinstance(cause, ssl.SSLError):
        why = (cause.reason or "").replace("_", " ").lower()
        return tell(f"no TLS with {there} ({why or 'the handshake broke off'}): does it speak https?")
    if isinstance(cause, ConnectionRefusedError):
        return tell(f"{there} refuses connections: does the server run there?")
    return tell(f"no connection to {there} ({text})")
