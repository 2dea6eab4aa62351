"""The Provider protocol, and the route that its transports follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from .credentials import ApiKey, Credential
from .instance import Instance
from .messages import ChatRequest, ChatResponse
from .route import Adapt

Operation = Literal["chat", "responses"]
"""What an instance is asked for: chat completions, or OpenAI's Responses API."""


class Provider(Protocol):
    """One entry of `providers:`. Raises ProviderError and nothing else; never retries; never waits for a limit.

    `request.generation.stream` decides how it is fetched; either way the answer is whole. `request_id`
    ("sample_id/turn/attempt") goes out as its UUIDv5, in the header x-request-id; a simulator gets it whole, as
    x-orchestrator-request. `deadline` is in the running loop's time.
    """

    async def complete(
        self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float
    ) -> ChatResponse: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; the deadline of a call bounds them all."""

    connect_s: float = 10.0
    """DNS, TCP and TLS: longer means a dead address."""
    first_token_s: float = 120.0
    """To the first token of an answer that is streamed; reasoning models think long before they speak."""
    between_tokens_s: float = 60.0
    """Longest silence inside an answer that is streamed."""


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """How the user's file says that a model is reached through a provider: all of it optional."""

    deployments: Sequence[str] = ()
    keys: Sequence[str] = ()
    operation: Operation = "chat"
    adapt: Adapt = "rename"
    """What of a request may be changed where an instance refuses a field of its generation."""
    timeouts: Timeouts | None = None
    """The model's own; None takes the provider's."""


class Adapter(Provider, Protocol):
    """A provider that knows which instances of a model it offers."""

    def instances(self, model: str, spec: RouteSpec) -> Sequence[Instance]:
        """The model's instances, in the order of the file; names are unique. Raises InputError where `spec` does not fit."""
        ...

    def identity(self, on: Instance) -> str | None:
        """Endpoint, deployment and the name of the key: what limits are remembered and keys are locked by. None where nothing lasts."""
        ...


@dataclass(frozen=True, slots=True)
class Route:
    """Where an instance's requests go: `{base_url}/chat/completions` (or `/responses`), signed with `credential`."""

    instance: Instance
    base_url: str
    """Without a trailing slash."""
    credential: Credential | None
    """None where the server wants no key."""
    auth: Literal["api-key", "bearer"] = "bearer"
    api_version: str | None = None
    """Azure's classic and models APIs: goes into the query."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The person's own, beside those that sign and name the request."""
    secret_headers: Mapping[str, ApiKey] = field(default_factory=dict)
    """The same with values from variables: masked like the key wherever a server echoes them."""
    operation: Operation = "chat"
    address_hint: str = ""
    """What a 404 adds to the server's words: which addresses there are."""
    adapt: Adapt = "rename"
    timeouts: Timeouts | None = None
    """None takes the transport's."""

    def own_headers(self) -> dict[str, str]:
        """The person's headers with their values: the same for every request."""
        return {**self.headers, **{name: value.secret for name, value in self.secret_headers.items()}}

    def own_secrets(self) -> tuple[str, ...]:
        """The values among `own_headers` that nobody may see."""
        return tuple(value.secret for value in self.secret_headers.values())


@dataclass(frozen=True, slots=True)
class Trust:
    """How a server proves over TLS that it is the one that was named."""

    verify: bool = True
    ca_file: str | None = None
    """PEM certificates that are trusted beside the system's."""
    system_file: str | None = None
    """PEM certificates that stand in the place of the system's file: SSL_CERT_FILE."""
    system_dir: str | None = None
    """The same for the system's folder: SSL_CERT_DIR."""


SYSTEM_TRUST = Trust()


class Transport(Protocol):
    """The wire: one POST, one whole answer or one ProviderError."""

    async def send(self, route: Route, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse: ...

    async def aclose(self) -> None: ...
