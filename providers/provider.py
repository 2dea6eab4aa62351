"""The protocols of providers, adapters and transports, and the route of an instance's requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from .credentials import ApiKey, Credential
from .instance import Instance
from .messages import ChatRequest, ChatResponse
from .route import Adapt

Operation = Literal["chat", "responses"]
"""The API that is called: chat completions, or OpenAI's Responses API."""


class Provider(Protocol):
    """One entry of `providers:`. It raises ProviderError and nothing else, never retries, and never waits for a rate limit.

    `request.generation.stream` selects how the answer is fetched; the result is the whole answer either way. `request_id`
    ("sample_id/turn/attempt") is sent as its UUIDv5 in the header x-request-id; a simulator gets it unchanged in
    x-orchestrator-request. `deadline` is a time of the running loop.
    """

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        """Send one request and return its whole answer. Raises ProviderError."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts of the phases of one call, in seconds. The call's deadline limits the sum."""

    connect_s: float = 10.0
    """DNS, TCP and TLS. A connection that takes longer will not be established."""
    first_token_s: float = 120.0
    """Until the first token of a streamed answer; reasoning models need long before they write."""
    between_tokens_s: float = 60.0
    """Longest pause inside a streamed answer."""


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """The user's settings for a model at one provider; every field is optional."""

    deployments: Sequence[str] = ()
    keys: Sequence[str] = ()
    operation: Operation = "chat"
    adapt: Adapt = "rename"
    """What may be changed in a request where an instance refuses a field of its generation."""
    timeouts: Timeouts | None = None
    """Timeouts of this model; None means those of the provider."""


class Adapter(Provider, Protocol):
    """A provider that lists the instances of a model."""

    def instances(self, model: str, spec: RouteSpec) -> Sequence[Instance]:
        """List the model's instances in the order of the file; names are unique. Raises InputError where `spec` does not fit."""
        ...

    def identity(self, on: Instance) -> str | None:
        """Return endpoint, deployment and key name, the identity under which limits are remembered and keys are locked.

        None where nothing is to be remembered after the run.
        """
        ...


@dataclass(frozen=True, slots=True)
class Route:
    """The address of an instance's requests, `{base_url}/chat/completions` (or `/responses`), and their headers and credential."""

    instance: Instance
    base_url: str
    """Without a trailing slash."""
    credential: Credential | None
    """None where the server needs no key."""
    auth: Literal["api-key", "bearer"] = "bearer"
    api_version: str | None = None
    """For Azure's classic and models APIs: the query parameter `api-version`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The user's own headers, in addition to those for authentication and the request id."""
    secret_headers: Mapping[str, ApiKey] = field(default_factory=dict)
    """The same with values from environment variables; they are masked like the key wherever a server echoes them."""
    operation: Operation = "chat"
    address_hint: str = ""
    """Text that is added to the message of a 404: which addresses exist."""
    adapt: Adapt = "rename"
    timeouts: Timeouts | None = None
    """None means the transport's timeouts."""

    def own_headers(self) -> dict[str, str]:
        """Return the user's headers with their values; they are the same for every request."""
        return {**self.headers, **{name: value.secret for name, value in self.secret_headers.items()}}

    def own_secrets(self) -> tuple[str, ...]:
        """Return the values among `own_headers` that must never be shown."""
        return tuple(value.secret for value in self.secret_headers.values())


@dataclass(frozen=True, slots=True)
class Trust:
    """The certificates that a TLS connection trusts."""

    verify: bool = True
    ca_file: str | None = None
    """PEM certificates that are trusted in addition to the system's."""
    system_file: str | None = None
    """PEM certificates that replace the system's file: SSL_CERT_FILE."""
    system_dir: str | None = None
    """A folder that replaces the system's folder: SSL_CERT_DIR."""


SYSTEM_TRUST = Trust()


class Transport(Protocol):
    """The HTTP client of a provider: each request gives one whole answer or one ProviderError."""

    async def send(self, route: Route, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        """Send one request to the route's address and read its whole answer. Raises ProviderError and nothing else."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...
