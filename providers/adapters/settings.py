"""Settings of every provider over HTTP, and the validation of addresses, headers and key names before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from ..credentials import ApiKey
from ..errors import InputError
from ..provider import Trust
from ..route import Timeouts
from ..transport.network import DIRECT, Network

_DEFAULT = Timeouts()
_LOOKS_LIKE_A_KEY = re.compile(r"(?=.*\d)[A-Za-z0-9]{24,}")
"""Long, without an underscore, letters and digits mixed: a key, not the name of a variable."""
BASE_URL_HINT = "does base_url end with /v1?"
"""A likely cause of a 404 from a server with OpenAI's API."""
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _check_address(address: str) -> str:
    """Return an http or https address without trailing slashes. Raises ValueError where it has no host or contains a secret."""
    try:
        parts = urlsplit(address.strip())
        host = parts.hostname or ""
        host.encode("idna")
        _ = parts.port
    except ValueError as error:  # UnicodeError among them: a host label that is empty or too long
        message = "is not an address"
        raise ValueError(message) from error
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError("must begin with http:// or https:// and name a host")
    if parts.username or parts.password:
        raise ValueError("must not carry a user or password: put the key into an environment variable")
    if parts.query or parts.fragment:
        raise ValueError("must not carry a query or fragment")
    return address.strip().rstrip("/")


def _check_variable_name(name: str) -> str:
    if not _VARIABLE_NAME.fullmatch(name) or _LOOKS_LIKE_A_KEY.fullmatch(name):
        raise ValueError("must be the NAME of an environment variable, not a key")
    return name


def _check_certificates(path: str, info: ValidationInfo) -> str:
    """Return the absolute path; a relative one starts at the folder in the validation context. Raises ValueError where it is unusable."""
    import ssl

    certificates = Path((info.context or {}).get("base", ".")) / path
    try:
        ssl.create_default_context(cafile=str(certificates))
    except ssl.SSLError as error:
        raise ValueError(f"{certificates} holds no PEM certificate") from error
    except OSError as error:
        raise ValueError(f"{certificates} cannot be read ({error.strerror})") from error
    return str(certificates.absolute())


_RESERVED_HEADERS = frozenset({
    "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host", "proxy-authorization", "te",
    "trailer", "transfer-encoding", "upgrade", "x-request-id", "x-client-request-id", "x-orchestrator-request",
})  # fmt: skip
"""Headers of HTTP and of this project, which the user may not set."""
_SIGNING_HEADERS = frozenset({"authorization", "api-key"})
_HEADERS_OF_SECRETS = frozenset({
    "cookie", "ocp-apim-subscription-key", "x-access-token", "x-api-key", "x-auth-token", "x-functions-key", "x-goog-api-key",
})  # fmt: skip
_STARTS_OF_SECRETS = ("bearer ", "basic ", "sk-")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _check_header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError("is not the name of a header")
    if name.lower() in _SIGNING_HEADERS:
        raise ValueError("signs the request: name the key's variable in api_key_env (api_key_envs for a gateway)")
    if name.lower() in _RESERVED_HEADERS:
        raise ValueError("is set by the program and cannot be changed")
    return name


def _header_text(value: object) -> object:
    """Return a number as text: YAML reads `X-Flag: 1` as a number."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _check_header_value(value: str) -> str:
    if not _fits_a_header(value):
        raise ValueError("must be one line of printable ASCII")
    if value.lower().startswith(_STARTS_OF_SECRETS):
        raise ValueError("looks like a secret: put it into a variable and name that under header_envs")
    return value


def _fits_a_header(value: str) -> bool:
    return bool(value) and value.isascii() and value.isprintable()


Address = Annotated[str, AfterValidator(_check_address)]
VariableName = Annotated[str, AfterValidator(_check_variable_name)]
HeaderName = Annotated[str, AfterValidator(_check_header_name)]
HeaderValue = Annotated[str, BeforeValidator(_header_text), AfterValidator(_check_header_value)]


class TimeoutSettings(BaseModel):
    """Timeouts in seconds; see `Timeouts` for the phase that each one limits."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    connect_s: float = Field(default=_DEFAULT.connect_s, gt=0)
    """DNS, TCP and TLS: longer means a dead address."""
    first_token_s: float = Field(default=_DEFAULT.first_token_s, gt=0)
    """To the first token of an answer that is streamed; reasoning models think long before it."""
    between_tokens_s: float = Field(default=_DEFAULT.between_tokens_s, gt=0)
    """Longest silence inside an answer that is streamed."""

    def as_timeouts(self) -> Timeouts:
        """Convert to `Timeouts`."""
        return Timeouts(self.connect_s, self.first_token_s, self.between_tokens_s)


class WireSettings(BaseModel):
    """Settings of every provider over HTTP. Validation errors never show the input: it may be a key in place of the key's name."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)

    transport: Literal["native", "sdk"] = "native"
    """native: our own HTTP/1.1 client, the fast one. sdk: the openai package, as the reference."""
    timeouts: TimeoutSettings = TimeoutSettings()
    """Seconds after which a request is given up; a model's own win."""
    verify_tls: bool = True
    """Turn off only for a self-hosted server: without it, a third party on the network can read the key. Prefer `ca_file`."""
    ca_file: Annotated[str, AfterValidator(_check_certificates)] | None = None
    """PEM certificates that are trusted in addition to the system's; the path is relative to the configuration file."""

    headers: dict[HeaderName, HeaderValue] = {}
    """Sent with every request: {HTTP-Referer: https://example.org}. Nothing secret: the manifest keeps them."""
    header_envs: dict[HeaderName, VariableName] = {}
    """The same with secret values: from header names to the names of environment variables."""

    @model_validator(mode="after")
    def _headers_once_and_nothing_secret(self) -> Self:
        names = [name.lower() for name in (*self.headers, *self.header_envs)]
        if len(names) > len(set(names)):
            raise ValueError("headers and header_envs name a header twice; capital letters make no difference")
        if secret := [name for name in self.headers if name.lower() in _HEADERS_OF_SECRETS]:
            raise ValueError(f"headers: {secret[0]} carries a secret; name its variable under header_envs")
        return self

    @property
    def address(self) -> str | None:
        """The server's address; None where the run starts the server itself."""
        return None

    def notes(self) -> Sequence[str]:
        """List what the user should know about these settings; shown once before a run."""
        if self.verify_tls:
            return ()
        return ("verify_tls is off: a third party on the network can read the key; use ca_file instead",)

    def as_trust(self, network: Network = DIRECT) -> Trust:
        """Combine these settings with the certificates of the environment."""
        return Trust(self.verify_tls, self.ca_file, network.cert_file, network.cert_dir)


def read_secret_headers(settings: WireSettings, key: Callable[[str], ApiKey]) -> dict[str, ApiKey]:
    """Read the variables of `header_envs`. Raises InputError where one is missing or unfit for a header; the value is never shown."""
    values = {header: key(variable) for header, variable in settings.header_envs.items()}
    for header, value in values.items():
        if not _fits_a_header(value.secret):
            raise InputError(
                f"the value of {value.name} cannot be sent in the header {header}: it must be one line of printable ASCII"
            )
    return values


def check_key(key: ApiKey) -> ApiKey:
    """Return the key unchanged. Raises InputError, which does not show the key, where it is unfit for a header."""
    if key.secret and key.secret.isascii() and key.secret.isprintable() and " " not in key.secret:
        return key
    raise InputError(
        f"the value of {key.name} is not a valid key: it is empty or contains a space, a line break or a character outside ASCII"
    )
