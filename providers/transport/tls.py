"""Whom a connection trusts: one rule for both transports. The import costs OpenSSL, so it waits until a transport is opened."""

from __future__ import annotations

import ssl

from ..provider import Trust


def tls_context(trust: Trust) -> ssl.SSLContext:
    """Trust what the system trusts (or the file that `SSL_CERT_FILE` names), and the user's own `ca_file` beside it."""
    context = ssl.create_default_context()
    if trust.ca_file:
        context.load_verify_locations(cafile=trust.ca_file)
    if not trust.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
