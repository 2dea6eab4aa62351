"""Requests to a model and its responses: frozen values that every package uses. Messages and tools keep the OpenAI chat format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

JSON = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]
Message = Mapping[str, JSON]
Tool = Mapping[str, JSON]
ToolCall = Mapping[str, JSON]


OUTPUT_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
"""The names that APIs use for the limit on the answer's tokens."""


@dataclass(frozen=True, slots=True)
class Generation:
    """Parameters of generation. A field that is None is not sent."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: Sequence[str] = ()
    seed: int | None = None
    stream: bool = False
    reasoning_effort: str | None = None
    verbosity: str | None = None
    response_format: Mapping[str, JSON] | None = None
    tool_choice: JSON = None
    parallel_tool_calls: bool | None = None
    logprobs: int | None = None
    """Alternatives per token; 0 returns the log-probabilities of the chosen tokens only."""
    extra_body: Mapping[str, JSON] | None = None
    """Fields that are sent unchanged; they override the fields of this class."""

    @property
    def output_limit(self) -> int | None:
        """The most tokens that an answer may have, from `extra_body` first; None where there is no limit."""
        extra = self.extra_body
        if extra:
            for name in OUTPUT_LIMITS:
                value = extra.get(name)
                if isinstance(value, int):
                    return value
        return self.max_tokens


@dataclass(frozen=True, slots=True)
class Adaptation:
    """Fields of the generation that an instance refused, and what is sent instead."""

    renamed: Mapping[str, str]
    """{"max_tokens": "max_completion_tokens"}: the field has another name and the same meaning."""
    dropped: Sequence[str]
    """Fields that are left out, which changes the generation."""
    words: str
    """The server's error message."""


PLAIN_GENERATION = Generation()


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request to a model: messages, tools and parameters of generation."""

    messages: Sequence[Message]
    tools: Sequence[Tool] = ()
    generation: Generation = PLAIN_GENERATION
    adaptation: Adaptation | None = None
    """How the body sent to this instance differs from `generation`."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one answer."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    """True where the server gave no usage and the counts are estimates."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations of one call in seconds.

    `generation_s` is measured from the first token (streamed) or from the send (not streamed) to the last content.
    """

    connect_s: float
    ttft_s: float | None
    generation_s: float
    chunk_gaps_s: Sequence[float] = ()
    parse_s: float = 0.0
    resent: int = 0
    """Number of earlier sends on connections that the server closed without an answer; the server may have billed them."""


LimitKind = Literal["requests", "tokens", "concurrency", "overload"]
"""What a refusal is about: a rate of requests or tokens, the requests in flight, or the load of others (then no limit is ours)."""
LimitScope = Literal["key", "user", "team", "account", "model", "deployment"]
"""What the requests that count against a limit have in common; an organisation, a project and a subscription are accounts."""


@dataclass(frozen=True, slots=True)
class RateLimitHint:
    """Rate limits read from a response's headers and error message; None where they are not given.

    The stated fields are what a refusal says of itself. They are hints: gateways state wrong limits, and name one where another binds.
    """

    retry_after_s: float | None = None
    limit_requests: float | None = None
    limit_tokens: float | None = None
    remaining_requests: float | None = None
    remaining_tokens: float | None = None
    stated_limit: float | None = None
    """The limit that a refusal states: this number of `stated_kind` per `stated_window_s`, or requests in flight."""
    stated_window_s: float | None = None
    stated_kind: LimitKind | None = None
    stated_quota: str | None = None
    """The server's name of the quota that is used up: "UserByModelByMinuteTokens"."""
    stated_scope: tuple[LimitScope, ...] = ()
    """Requests count together if all of these are the same: ("account", "model"). Empty where it is not stated."""
    stated_usage: float | None = None
    """How much of the limit was used up at the refusal."""
    source: str | None = None
    """The header, the words or the status that state it: "header rate_limit_type", "words tokens per min", "status 529"."""


@dataclass(frozen=True, slots=True)
class ChatResponse:
    """An answer with text or a tool call. A response with neither is an error."""

    text: str
    tool_calls: Sequence[ToolCall]
    finish_reason: str
    usage: Usage
    timing: Timing
    hint: RateLimitHint | None
    response_id: str
    response_model: str
    system_fingerprint: str | None
    refused: bool = False
    """True where the server marks the text as the model's refusal."""
    reasoning: str = ""
    """The model's reasoning; `text` does not contain it."""
    assistant: Message = field(default_factory=dict)
    """The assistant's message as received, with every field that the next request must send back."""
    adaptation: Adaptation | None = None
    """How the request was adapted to the instance; None where it was sent unchanged."""
