"""The Provider protocol, and the route that its transports follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from .credentials import Credential
from .instance import Instance
from .messages import ChatRequest, ChatResponse
from .wire.adaptation import Adapt


class Provider(Protocol):
    """One entry of `providers:`. Raises ProviderError and nothing else; never retries; never waits for a limit.

    `request.generation.stream` decides how it is fetched; either way the answer is whole. `request_id` ("sample_id/turn/attempt") is sent
    as a header. `deadline` is in the running loop's time.
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
    """Where an instance's requests go: `{base_url}/chat/completions`, signed with `credential`."""

    instance: Instance
    base_url: str
    """Without a trailing slash."""
    credential: Credential | None
    """None where the server wants no key."""
    auth: Literal["api-key", "bearer"] = "bearer"
    api_version: str | None = None
    """Classic Azure: goes into the query."""
    headers: Mapping[str, str] = field(default_factory=dict)
    adapt: Adapt = "rename"
    timeouts: Timeouts | None = None
    """None takes the transport's."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How a server proves over TLS that it is the one that was named."""

    verify: bool = True
    ca_file: str | None = None
    """PEM certificates that are trusted beside the system's."""


SYSTEM_TRUST = Trust()


class Transport(Protocol):
    """The wire: one POST, one whole answer or one ProviderError."""

    async def send(self, route: Route, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse: ...

    async def aclose(self) -> None: ...
