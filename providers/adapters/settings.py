"""What every provider over HTTP may set, and the checks that addresses and key names pass before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from ..credentials import ApiKey
from ..errors import InputError
from ..network import DIRECT, Network
from ..provider import Trust
from ..route import Timeouts

_DEFAULT = Timeouts()
_LOOKS_LIKE_A_KEY = re.compile(r"(?=.*\d)[A-Za-z0-9]{24,}")
"""Long, without an underscore, letters and digits mixed: no name that a person gives."""
BASE_URL_HINT = "does base_url end with /v1?"
"""What a 404 of a server that speaks OpenAI's API may come from."""
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _check_address(address: str) -> str:
    """http or https with a host, nothing secret in it; returned without its trailing slashes."""
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
    """Absolute; relative paths start at the folder that the caller gives as context."""
    import ssl

    found = Path((info.context or {}).get("base", ".")) / path
    try:
        ssl.create_default_context(cafile=str(found))
    except ssl.SSLError as error:
        raise ValueError(f"{found} holds no PEM certificate") from error
    except OSError as error:
        raise ValueError(f"{found} cannot be read ({error.strerror})") from error
    return str(found.absolute())


_RESERVED_HEADERS = frozenset({
    "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host", "proxy-authorization", "te",
    "trailer", "transfer-encoding", "upgrade", "x-request-id", "x-client-request-id", "x-orchestrator-request",
})  # fmt: skip
"""What the wire itself needs: ours to set."""
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
    """YAML reads `X-Flag: 1` as a number."""
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
    """Seconds; see `Timeouts` for what each bounds and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connect_s: float = Field(default=_DEFAULT.connect_s, gt=0)
    first_token_s: float = Field(default=_DEFAULT.first_token_s, gt=0)
    between_tokens_s: float = Field(default=_DEFAULT.between_tokens_s, gt=0)

    def as_timeouts(self) -> Timeouts:
        return Timeouts(self.connect_s, self.first_token_s, self.between_tokens_s)


class WireSettings(BaseModel):
    """Common to every provider over HTTP. Errors never show what was typed: a key may stand where its name belongs."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    transport: Literal["native", "sdk"] = "native"
    """native: aiohttp, seven times cheaper. sdk: the openai package, as the reference."""
    timeouts: TimeoutSettings = TimeoutSettings()
    verify_tls: bool = True
    """Off only for a server of one's own: whoever stands between can read the key. `ca_file` is the better way."""
    ca_file: Annotated[str, AfterValidator(_check_certificates)] | None = None
    """PEM certificates that are trusted beside the system's; relative to the configuration file."""

    headers: dict[HeaderName, HeaderValue] = {}
    """Sent with every request: {HTTP-Referer: https://example.org}. Nothing secret: the manifest keeps them."""
    header_envs: dict[HeaderName, VariableName] = {}
    """The same with secret values: headers to the names of the variables that hold them."""

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
        """Where requests go; None where the run starts the server itself."""
        return None

    def notes(self) -> Sequence[str]:
        """What the settings allow or leave open, and a person should know; told once before a run."""
        if self.verify_tls:
            return ()
        return ("verify_tls is off: whoever stands between can read the key; ca_file is the better way",)

    def as_trust(self, network: Network = DIRECT) -> Trust:
        return Trust(self.verify_tls, self.ca_file, network.cert_file, network.cert_dir)


def read_secret_headers(settings: WireSettings, key: Callable[[str], ApiKey]) -> dict[str, ApiKey]:
    """Read the variables of `header_envs`. Raises InputError where one is missing or no header can carry it, without showing it."""
    found = {header: key(variable) for header, variable in settings.header_envs.items()}
    for header, value in found.items():
        if not _fits_a_header(value.secret):
            raise InputError(
                f"the value of {value.name} cannot stand in the header {header}: it must be one line of ASCII"
            )
    return found


def check_key(key: ApiKey) -> ApiKey:
    """Return a key that a header can carry. Raises InputError without showing it."""
    if key.secret and key.secret.isascii() and key.secret.isprintable() and " " not in key.secret:
        return key
    raise InputError(
        f"the value of {key.name} cannot be a key: it is empty or holds a space, a line break or another sign"
    )
