"""Proxies and certificates that the environment names, as values. The orchestrator package reads the environment; nothing here does."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from ..errors import InputError


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy. Its address may contain a password, which is never shown."""

    url: str = field(repr=False)
    variable: str

    @property
    def shown(self) -> str:
        """The address without its user and password."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))

    @property
    def authorization(self) -> str | None:
        """The value of Proxy-Authorization; None where the address names no user."""
        parts = urlsplit(self.url)
        if parts.username is None:
            return None
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"


@dataclass(frozen=True, slots=True)
class Network:
    """The values of HTTP_PROXY, HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR; None where a variable is not set."""

    http_proxy: str | None = field(default=None, repr=False)
    https_proxy: str | None = field(default=None, repr=False)
    no_proxy: str = ""
    """Hosts to connect to directly, separated by commas: names with their subdomains, addresses, networks (10.0.0.0/8), `*` for all."""
    cert_file: str | None = None
    cert_dir: str | None = None

    def proxy_for(self, address: str) -> Proxy | None:
        """Return the proxy for an address; None for a direct connection, as to this machine. Raises InputError on an invalid variable."""
        parts = urlsplit(address)
        host, is_https = (parts.hostname or "").rstrip("."), parts.scheme == "https"
        url = self.https_proxy if is_https else self.http_proxy
        if not url or is_loopback(host) or self._is_direct(host, parts.port or (443 if is_https else 80)):
            return None
        variable = "HTTPS_PROXY" if is_https else "HTTP_PROXY"
        return Proxy(_checked(url, variable), variable)

    def check_certificates(self) -> None:
        """Raise InputError where a variable names certificates that do not exist; OpenSSL ignores them silently."""
        if self.cert_file and not Path(self.cert_file).is_file():
            raise InputError(f"SSL_CERT_FILE names {self.cert_file}, which is no file; correct it or unset it")
        if self.cert_dir and not all(Path(part).is_dir() for part in self.cert_dir.split(":") if part):
            raise InputError(f"SSL_CERT_DIR names {self.cert_dir}, which is no folder; correct it or unset it")

    def _is_direct(self, host: str, port: int) -> bool:
        return any(_covers(entry.strip().lower(), host, port) for entry in self.no_proxy.split(",") if entry.strip())


DIRECT = Network()


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine: localhost, 127.0.0.0/8, ::1."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _covers(entry: str, host: str, port: int) -> bool:
    """Return whether an entry of NO_PROXY covers `host`: `*`, a network, or a name with its subdomains, each with or without a port."""
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass  # the host or the entry is a name, not an address
    name, _, number = entry.rpartition(":")
    if name and number.isdigit():
        return int(number) == port and _covers(name, host, port)
    name = entry.removeprefix("*").lstrip(".").rstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _checked(url: str, variable: str) -> str:
    url = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise InputError(f"{variable} is not an address") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InputError(f"{variable} names no HTTP proxy (http://HOST:PORT); other kinds, as SOCKS, are not supported")
    return url
