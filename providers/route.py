"""The route: where an instance's requests go, how they are signed, and how long each part of an answer may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .credentials import ApiKey, Credential
from .instance import Instance

Operation = Literal["chat", "responses"]
"""What an instance is asked for: chat completions, or OpenAI's Responses API."""
Adapt = Literal["rename", "drop", "never"]
"""What may be changed: a spelling; fields as well; nothing."""


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
        """Return the user's headers with their values; they are the same for every request."""
        return {**self.headers, **{name: value.secret for name, value in self.secret_headers.items()}}

    def own_secrets(self) -> tuple[str, ...]:
        """Return the values among `own_headers` that must not be shown."""
        return tuple(value.secret for value in self.secret_headers.values())
