"""Secrets, in memory only: an API key knows the *name* of the variable that it came from and shows nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from .errors import InputError


class SignInFailed(ConnectionError):
    """No token could be had: a fault of the way, not of the request."""


class Credential(Protocol):
    """What a request is signed with."""

    @property
    def name(self) -> str: ...

    def header(self, scheme: Literal["api-key", "bearer"]) -> tuple[str, str]:
        """The header's name and value; may renew a token, never blocks for long. Raises SignInFailed."""
        ...


@dataclass(frozen=True, slots=True)
class ApiKey:
    name: str
    """Name of the environment variable; safe to show."""
    secret: str = field(repr=False)

    def header(self, scheme: Literal["api-key", "bearer"]) -> tuple[str, str]:
        if scheme == "api-key":
            return "api-key", self.secret
        return "Authorization", f"Bearer {self.secret}"


@dataclass(frozen=True, slots=True)
class EntraToken:
    """A Microsoft Entra ID token, fetched anew before it expires (azure-identity caches it)."""

    fetch: Callable[[], str] = field(repr=False)
    name: str = "entra"

    def header(self, scheme: Literal["api-key", "bearer"]) -> tuple[str, str]:  # noqa: ARG002 - Entra is always a bearer
        return "Authorization", f"Bearer {self.fetch()}"


def entra_token() -> EntraToken:
    """Sign in with whatever this machine offers (environment, workload identity, Azure CLI). Needs the extra `azure`."""
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
