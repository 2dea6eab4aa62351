"""The certificates that a connection trusts, for both transports. It imports OpenSSL, so it is imported when a transport opens."""

from __future__ import annotations

import ssl
from pathlib import Path

from ..provider import Trust


def tls_context(trust: Trust) -> ssl.SSLContext:
    """Build a context that trusts the system's certificates, or their replacement, and those of `ca_file`."""
    context = _system_context(trust)
    if trust.ca_file:
        context.load_verify_locations(cafile=trust.ca_file)
    if not trust.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _system_context(trust: Trust) -> ssl.SSLContext:
    """Build the context as OpenSSL does: SSL_CERT_FILE replaces the system's file, SSL_CERT_DIR replaces the system's folder."""
    if not (trust.system_file or trust.system_dir):
        return ssl.create_default_context()
    built_in = ssl.get_default_verify_paths()
    file = trust.system_file or _existing(built_in.openssl_cafile)
    folder = trust.system_dir or _existing(built_in.openssl_capath)
    return ssl.create_default_context(cafile=file, capath=folder)


def _existing(path: str) -> str | None:
    return path if Path(path).exists() else None
