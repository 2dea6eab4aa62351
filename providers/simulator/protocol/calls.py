"""A request as the simulator read it, and the answer that it is going to give.

Token counts are characters / 4, everywhere: in the estimate that quotas charge, in the usage that answers report and in the time they take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from ...messages import ChatRequest, Generation, Message, ToolCall

if TYPE_CHECKING:
    from ..settings.provider import Fault

CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4
UNSTATED_MAX_TOKENS = 16
"""What Azure charges where max_tokens is not said (after aoai-api-simulator)."""


@dataclass(frozen=True, slots=True)
class SimulatedCall:
    """One request, as it came."""

    request_id: str
    name: str
    """Of the deployment or model."""
    request: ChatRequest
    wants_usage: bool
    input_tokens: int
    fields: Mapping[str, object] = field(default_factory=dict)
    """The body as it came."""

    @property
    def estimated_tokens(self) -> int:
        """Estimate as Azure does when a request comes: prompt + max_tokens."""
        limit = self.request.generation.output_limit
        return self.input_tokens + (UNSTATED_MAX_TOKENS if limit is None else limit)


@dataclass(frozen=True, slots=True)
class SimulatedReply:
    """One answer, decided before it is given."""

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
    """What was thought before the text; its tokens are among `output_tokens`."""
    error: str | None = None
    """The message of a failure of the source of answers; the fault is error_500."""

    @property
    def reasoning_tokens(self) -> int:
        """Count the tokens of the reasoning."""
        return tokens_of(self.reasoning)

    @property
    def is_cut_in_reasoning(self) -> bool:
        """Say whether max_tokens was used up before the reasoning was over."""
        return self.finish_reason == "length" and not self.text


def read_call(body: bytes, request_id: str, deployment: str | None) -> SimulatedCall:
    """Parse a chat request; `deployment` comes from the URL and wins over the body's model. Raises ValueError saying what is wrong."""
    data: dict[str, Any] = orjson.loads(body)
    if not isinstance(data, dict):
        raise ValueError("the body must be a JSON object")  # noqa: TRY004 - the caller asks for ValueError alone
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


def tokens_of(text: str) -> int:
    """Count the tokens of a text, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def _characters(message: Message) -> int:
    content = message.get("content")
    count = len(content) if isinstance(content, str) else len(orjson.dumps(content)) if content else 0
    calls = message.get("tool_calls")
    return count + len(orjson.dumps(calls)) if calls else count
