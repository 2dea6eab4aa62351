"""What every provider over HTTP may set, and the checks that addresses and key names pass before anything is sent."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from ..credentials import ApiKey
from ..errors import InputError
from ..provider import Timeouts, Trust

_DEFAULT = Timeouts()
_LOOKS_LIKE_A_KEY = re.compile(r"(?=.*\d)[A-Za-z0-9]{24,}")
"""Long, without an underscore, letters and digits mixed: no name that a person gives."""
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


Address = Annotated[str, AfterValidator(_check_address)]
VariableName = Annotated[str, AfterValidator(_check_variable_name)]


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

    def as_trust(self) -> Trust:
        return Trust(self.verify_tls, self.ca_file)


def check_key(key: ApiKey) -> ApiKey:
    """Return a key that a header can carry. Raises InputError without showing it."""
    if key.secret and key.secret.isascii() and key.secret.isprintable() and " " not in key.secret:
        return key
    raise InputError(
        f"the value of {key.name} cannot be a key: it is empty or holds a space, a line break or another sign"
    )
