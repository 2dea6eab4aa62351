"""Reads a request's body and decides the answer: its content, token counts, fault and finish reason.

Token counts are characters / 4 everywhere: in the estimate for quotas, in the reported usage and in the latency.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from ...messages import ChatRequest, Generation, Message, ToolCall
from ...seeded_draws import draw_name
from ..settings import Fault
from .faults import draw_fault
from .reasoning import draw_reasoning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..endpoint import Endpoint
    from .source import AnswerSource, SimulatedAnswer

CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4
UNSTATED_MAX_TOKENS = 16
"""Tokens that Azure counts where max_tokens is not set (source: aoai-api-simulator)."""


@dataclass(frozen=True, slots=True)
class SimulatedCall:
    """A request as it was received."""

    request_id: str
    name: str
    """The requested deployment or model."""
    request: ChatRequest
    wants_usage: bool
    input_tokens: int
    fields: Mapping[str, object] = field(default_factory=dict)
    """The fields of the body."""

    @property
    def estimated_tokens(self) -> int:
        """Estimate the tokens as Azure does on arrival: prompt + max_tokens."""
        limit = self.request.generation.output_limit
        return self.input_tokens + (UNSTATED_MAX_TOKENS if limit is None else limit)


@dataclass(frozen=True, slots=True)
class SimulatedReply:
    """An answer, decided before it is sent."""

    response_id: str
    model: str
    text: str
    tool_calls: Sequence[ToolCall]
    finish_reason: str
    input_tokens: int
    output_tokens: int
    right: bool | None
    fault: Fault | None
    corruption: str | None = None
    reasoning: str = ""
    """The reasoning before the text; `output_tokens` includes its tokens."""

    @property
    def reasoning_tokens(self) -> int:
        """Count the tokens of the reasoning."""
        return tokens_of(self.reasoning)

    @property
    def is_cut_in_reasoning(self) -> bool:
        """Return whether max_tokens was used up before the reasoning ended."""
        return self.finish_reason == "length" and not self.text


def read_call(body: bytes, request_id: str, deployment: str | None) -> SimulatedCall:
    """Parse a chat request; the URL's `deployment` overrides the body's model. Raises ValueError with a reason for the client."""
    data: dict[str, Any] = orjson.loads(body)
    if not isinstance(data, dict):
        raise ValueError("the body must be a JSON object")  # noqa: TRY004 - the caller catches ValueError only
    messages = data.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise ValueError("'messages' must be a list of one message or more")
    name = deployment or data.get("model")
    if not isinstance(name, str) or not name:
        raise ValueError("you must provide a model parameter")
    max_tokens = data.get("max_completion_tokens", data.get("max_tokens"))
    if max_tokens is not None and (not isinstance(max_tokens, int) or max_tokens < 1):
        raise ValueError(f"max_tokens must be a whole number of 1 or more, not {max_tokens!r}")
    tools = data.get("tools") or ()
    stream = bool(data.get("stream", False))
    generation = Generation(max_tokens, data.get("temperature"), seed=data.get("seed"), stream=stream)
    request = ChatRequest(messages, tools, generation)
    wants_usage = bool((data.get("stream_options") or {}).get("include_usage"))
    return SimulatedCall(request_id, name, request, wants_usage, count_input_tokens(request), data)


def count_input_tokens(request: ChatRequest) -> int:
    """Count the tokens of messages and tools."""
    characters = sum(_characters(message) for message in request.messages)
    if request.tools:
        characters += len(orjson.dumps(request.tools))
    return characters // CHARACTERS_PER_TOKEN + TOKENS_PER_MESSAGE * len(request.messages)


@dataclass(frozen=True, slots=True)
class _Content:
    """The content of an answer and its finish reason."""

    text: str = ""
    tool_calls: Sequence[ToolCall] = ()
    finish_reason: str = "stop"
    output_tokens: int = 0
    reasoning: str = ""


def decide_reply(call: SimulatedCall, endpoint: Endpoint, answers: AnswerSource, seed: int) -> SimulatedReply:
    """Decide everything about the answer except its time; the result depends on (seed, request) only."""
    fault = draw_fault(seed, call.request_id, endpoint.faults)
    right, corruption, max_tokens = None, None, call.request.generation.output_limit  # type: bool | None, str | None, int | None
    reasoning = draw_reasoning(endpoint.settings, seed, call.request_id)
    if fault in ("empty", "error_500", "reset"):
        content = _Content()
    elif fault == "content_filter":
        content = _Content(finish_reason="content_filter")
    elif fault == "length":
        content = _cut_short(reasoning, max_tokens or UNSTATED_MAX_TOKENS)
    else:
        answer = answers.answer(call.request_id, call.request, call.name)
        if fault in (None, "stall"):
            right, corruption = answer.right, answer.corruption
        content = _fit(reasoning, answer, max_tokens)
    return SimulatedReply(
        response_id="chatcmpl-" + draw_name(seed, "response", f"{endpoint.key}/{endpoint.name}/{call.request_id}"),
        model=endpoint.model,
        text=content.text,
        tool_calls=content.tool_calls,
        finish_reason=content.finish_reason,
        input_tokens=call.input_tokens,
        output_tokens=content.output_tokens,
        right=right,
        fault=fault,
        corruption=corruption,
        reasoning=content.reasoning,
    )


def tokens_of(text: str) -> int:
    """Count the tokens of a text, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def _fit(reasoning: str, answer: SimulatedAnswer, max_tokens: int | None) -> _Content:
    """Cut the answer to max_tokens; the reasoning counts first."""
    reasoning_tokens = tokens_of(reasoning)
    if max_tokens is not None and 0 < max_tokens <= reasoning_tokens:
        return _cut_short(reasoning, max_tokens)
    calls_tokens = -(-len(orjson.dumps(answer.tool_calls)) // CHARACTERS_PER_TOKEN) if answer.tool_calls else 0
    tokens = reasoning_tokens + max(1, tokens_of(answer.text) + calls_tokens)
    if answer.tool_calls:
        return _Content(answer.text, answer.tool_calls, "tool_calls", tokens, reasoning)
    if max_tokens is not None and tokens > max_tokens:
        return _Content(_cut(answer.text, max_tokens - reasoning_tokens), (), "length", max_tokens, reasoning)
    return _Content(answer.text, (), "stop", tokens, reasoning)


def _cut_short(reasoning: str, tokens: int) -> _Content:
    """Build an answer that ends before its text begins."""
    return _Content(finish_reason="length", output_tokens=tokens, reasoning=_cut(reasoning, tokens))


def _cut(text: str, tokens: int) -> str:
    return text[: tokens * CHARACTERS_PER_TOKEN]


def _characters(message: Message) -> int:
    content = message.get("content")
    count = len(content) if isinstance(content, str) else len(orjson.dumps(content)) if content else 0
    calls = message.get("tool_calls")
    return count + len(orjson.dumps(calls)) if calls else count
