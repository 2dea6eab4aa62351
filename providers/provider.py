"""Senders, adapters and transports as protocols, and how the file says that a model is reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .instance import Instance
from .messages import ChatRequest, ChatResponse
from .route import Adapt, Operation, Route, Timeouts


class Sender(Protocol):
    """Whatever sends one request to an instance: an adapter, or what stands before one.

    Raises ProviderError and nothing else; never retries; never waits for a limit.

    `request.generation.stream` decides how it is fetched; either way the answer is whole. `request_id`
    ("sample_id/turn/attempt") goes out as its UUIDv5, in the header x-request-id; a simulator gets it whole, as
    x-orchestrator-request. `deadline` is in the running loop's time.
    """

    async def complete(
        self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float
    ) -> ChatResponse: ...


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


class Adapter(Sender, Protocol):
    """One entry of `providers:`: it knows which instances of a model it offers."""

    def instances(self, model: str, spec: RouteSpec) -> Sequence[Instance]:
        """The model's instances, in the order of the file; names are unique. Raises InputError where `spec` does not fit."""
        ...

    def identity(self, on: Instance) -> str | None:
        """Endpoint, deployment and the name of the key: what limits are remembered and keys are locked by. None where nothing lasts."""
        ...

    async def aclose(self) -> None: ...


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
