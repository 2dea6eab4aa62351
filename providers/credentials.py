"""Credentials, kept in memory only. An API key keeps the *name* of its environment variable; its `repr` shows the name, never the value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from .errors import InputError
from .masking import Secret


class SignInFailed(ConnectionError):
    """No access token could be fetched; transports map it to Unreachable, because the request is not at fault."""


class Credential(Protocol):
    """The credential that authenticates a request."""

    @property
    def name(self) -> str:
        """The name to show in messages; it is no secret."""
        ...

    def header(self, scheme: Literal["api-key", "bearer"]) -> tuple[str, str]:
        """Return the name and value of the authentication header. May renew a token. Raises SignInFailed."""
        ...


class ApiKey(Secret):
    """An API key that was read from an environment variable. It is no dataclass: `asdict` of one lists all fields."""

    __slots__ = ("name", "secret")

    def __init__(self, name: str, secret: str) -> None:
        self.name = name
        """Name of the environment variable; safe to show."""
        self.secret = secret

    def __repr__(self) -> str:
        return f"ApiKey(name={self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ApiKey) and (self.name, self.secret) == (other.name, other.secret)

    def __hash__(self) -> int:
        return hash(self.name)

    def header(self, scheme: Literal["api-key", "bearer"]) -> tuple[str, str]:
        """Return the header of the scheme: `api-key`, or `Authorization` with a bearer token."""
        if scheme == "api-key":
            return "api-key", self.secret
        return "Authorization", f"Bearer {self.secret}"


@dataclass(frozen=True, slots=True)
class EntraToken:
    """A Microsoft Entra ID token; azure-identity caches it and renews it before it expires."""

    fetch: Callable[[], str] = field(repr=False)
    name: str = "entra"

    def header(self, scheme: Literal["api-key", "bearer"]) -> tuple[str, str]:  # noqa: ARG002 - Entra is always a bearer
        """Return the `Authorization` header with a current token. Raises SignInFailed."""
        return "Authorization", f"Bearer {self.fetch()}"


def entra_token() -> EntraToken:
    """Create a credential from Azure's default sources (environment, workload identity, Azure CLI).

    Raises InputError where the extra `azure` is not installed.
    """
    try:
        from azure.core.exceptions import AzureError
        from azure.identity import DefaultAzureCredential, get_bearer_token_provider
    except ImportError as error:
        message = "auth: entra needs the azure-identity package; install the extra: pip install 'llm-batch-orchestrator[azure]'"
        raise InputError(message) from error
    provider = get_bearer_token_provider(DefaultAzureCredential(), "https://cognitiveservices.azure.com/.default")

    def fetch() -> str:
        try:
            return str(provider())
        except AzureError as error:
            raise SignInFailed(f"cannot sign in with Microsoft Entra ID ({type(error).__name__})") from error

    return EntraToken(fetch)
