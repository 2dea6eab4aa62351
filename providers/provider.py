"""The protocols of senders, adapters and transports, and how the user's file says that a model is reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .instance import Instance
from .messages import ChatRequest, ChatResponse
from .route import Adapt, Operation, Route, Timeouts


class Sender(Protocol):
    """Sends one request to an instance: an adapter, or a wrapper of one.

    It raises ProviderError and nothing else, never retries, and never waits for a rate limit.

    `request.generation.stream` selects how the answer is fetched; the result is the whole answer either way. `request_id`
    ("sample_id/turn/attempt") is sent as its UUIDv5 in the header x-request-id; a simulator gets it unchanged in
    x-orchestrator-request. `deadline` is a time of the running loop.
    """

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        """Send one request and return its whole answer. Raises ProviderError."""
        ...


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


class Adapter(Sender, Protocol):
    """One entry of `providers:`. It lists the instances of a model and sends their requests."""

    def instances(self, model: str, spec: RouteSpec) -> Sequence[Instance]:
        """List the model's instances in the order of the file; names are unique. Raises InputError where `spec` does not fit."""
        ...

    def identity(self, on: Instance) -> str | None:
        """Return endpoint, deployment and key name, the identity under which limits are remembered and keys are locked.

        None where nothing is to be remembered after the run.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


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
