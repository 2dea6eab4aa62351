"""Whom a connection trusts: one rule for both transports. The import costs OpenSSL, so it waits until a transport is opened."""

from __future__ import annotations

import ssl
from pathlib import Path

from ..provider import Trust


def tls_context(trust: Trust) -> ssl.SSLContext:
    """Trust what the system trusts (or what stands in its place), and the user's own `ca_file` beside it."""
    context = _system_context(trust)
    if trust.ca_file:
        context.load_verify_locations(cafile=trust.ca_file)
    if not trust.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _system_context(trust: Trust) -> ssl.SSLContext:
    """As OpenSSL does with SSL_CERT_FILE and SSL_CERT_DIR: each takes the place of its own half of the system's certificates."""
    if not (trust.system_file or trust.system_dir):
        return ssl.create_default_context()
    built_in = ssl.get_default_verify_paths()
    file = trust.system_file or _existing(built_in.openssl_cafile)
    folder = trust.system_dir or _existing(built_in.openssl_capath)
    return ssl.create_default_context(cafile=file, capath=folder)


def _existing(path: str) -> str | None:
    return path if Path(path).exists() else None
