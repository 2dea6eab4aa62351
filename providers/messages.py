"""What goes to a model and what comes back: frozen values that cross every floor. Messages and tools keep the OpenAI chat format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

JSON = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]
Message = Mapping[str, JSON]
Tool = Mapping[str, JSON]
ToolCall = Mapping[str, JSON]


OUTPUT_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
"""How the wire spells the one idea of a bound on the answer's tokens."""


@dataclass(frozen=True, slots=True)
class Generation:
    """How answers are generated. What is None is not sent."""

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
    """Alternatives per token; 0 gives the chosen tokens' own."""
    extra_body: Mapping[str, JSON] | None = None
    """Fields that go to the wire as they are; they win over ours."""

    @property
    def output_limit(self) -> int | None:
        """The most tokens that an answer may have, whatever its spelling; None where there is no bound."""
        extra = self.extra_body
        if extra:
            for name in OUTPUT_LIMITS:
                value = extra.get(name)
                if isinstance(value, int):
                    return value
        return self.max_tokens


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What an instance refused in its own words, and what is sent to it instead."""

    renamed: Mapping[str, str]
    """{"max_tokens": "max_completion_tokens"}: changes the spelling, never what is asked."""
    dropped: Sequence[str]
    """Fields that are left out, which changes what is asked."""
    words: str
    """The server's sentence."""


PLAIN_GENERATION = Generation()


@dataclass(frozen=True, slots=True)
class ChatRequest:
    messages: Sequence[Message]
    tools: Sequence[Tool] = ()
    generation: Generation = PLAIN_GENERATION
    adaptation: Adaptation | None = None
    """How the body differs from what `generation` asks, for the instance that it goes to."""


@dataclass(frozen=True, slots=True)
class Usage:
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    """True where the server gave no usage and the counts are ours."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. `generation_s` runs from the first token (streamed) or from the send (whole) to the last content."""

    connect_s: float
    ttft_s: float | None
    generation_s: float
    chunk_gaps_s: Sequence[float] = ()
    parse_s: float = 0.0
    resent: int = 0
    """Times that the request had gone out before, on a connection that the server closed without an answer: it may have billed those."""


@dataclass(frozen=True, slots=True)
class RateLimitHint:
    """What the headers and the words of an answer say about limits; None where they say nothing."""

    retry_after_s: float | None = None
    limit_requests: float | None = None
    limit_tokens: float | None = None
    remaining_requests: float | None = None
    remaining_tokens: float | None = None
    stated_limit: float | None = None
    """What a refusal says in words: so many ..."""
    stated_window_s: float | None = None
    stated_unit: Literal["requests", "tokens"] | None = None
    stated_quota: str | None = None
    """The server's own name of the quota that is used up: "UserByModelByMinuteTokens"."""


@dataclass(frozen=True, slots=True)
class ChatResponse:
    """An answer: it has content or a tool call. Anything else is an error."""

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
    """The server says that the text is the model's refusal."""
    reasoning: str = ""
    """What the model thought before the text, which is without it."""
    assistant: Message = field(default_factory=dict)
    """The turn as it came, with every field that the server may want back."""
    adaptation: Adaptation | None = None
    """How the request was adapted to the instance; None where it was sent as written."""
