"""What goes to a model and what comes back: frozen values that cross every floor. Messages and tools keep the OpenAI chat format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

JSON = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]
Message = Mapping[str, JSON]
Tool = Mapping[str, JSON]
ToolCall = Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    messages: Sequence[Message]
    tools: Sequence[Tool] = ()
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    stream: bool = False
    extra_body: Mapping[str, JSON] | None = None
    """Fields that go to the wire as they are; they win over ours."""


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
    """What the headers of an answer say about limits; None where they say nothing."""

    retry_after_s: float | None = None
    limit_requests: float | None = None
    limit_tokens: float | None = None
    remaining_requests: float | None = None
    remaining_tokens: float | None = None


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
    """What the model thought before it answered, where the server says so."""
