"""The origin of a server: scheme, host and port, and whether its requests go to a proxy as they are."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import idna


@dataclass(frozen=True, slots=True)
class Origin:
    """The address of a server without its path."""

    host: str
    port: int
    is_tls: bool
    is_forwarded: bool = False
    """Whether a proxy reads the requests: without TLS there is no tunnel."""

    @property
    def authority(self) -> str:
        """Host and port as the header Host has them: a default port is left out."""
        return self._bracketed if self.port == (443 if self.is_tls else 80) else self.host_and_port

    @property
    def host_and_port(self) -> str:
        """Host and port, as CONNECT has them."""
        return f"{self._bracketed}:{self.port}"

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def parse_origin(url: str, *, is_proxied: bool = False) -> Origin:
    """Read the origin of an address."""
    parts = urlsplit(url)
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    if not host.isascii():
        host = _in_ascii(host)
    return Origin(host, parts.port or (443 if is_tls else 80), is_tls, is_proxied and not is_tls)


def _in_ascii(host: str) -> str:
    """Spell an international name as DNS does: by IDNA 2008, and by the older standard where that refuses the name."""
    try:
        return idna.encode(host, uts46=True).decode()
    except UnicodeError:
        return host.encode("idna").decode()
