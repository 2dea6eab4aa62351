"""From a request's body to the answer that is going to be given: what was asked, what it costs, which fault it meets, how it ends.

Token counts are characters / 4, everywhere: in the estimate that quotas charge, in the usage that answers report and in the time they take.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from ..messages import ChatRequest, Generation, Message, ToolCall
from .draws import draw_name
from .faults import Fault, draw_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .answers import AnswerSource
    from .endpoint import Endpoint

CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4
UNSTATED_MAX_TOKENS = 16
"""What Azure charges where max_tokens is not said (after aoai-api-simulator)."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as it came."""

    request_id: str
    name: str
    """Of the deployment or model."""
    request: ChatRequest
    wants_usage: bool
    input_tokens: int

    @property
    def estimated_tokens(self) -> int:
        """What Azure charges when a request comes: prompt + max_tokens."""
        limit = self.request.generation.output_limit
        return self.input_tokens + (UNSTATED_MAX_TOKENS if limit is None else limit)


@dataclass(frozen=True, slots=True)
class Reply:
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


def read_call(body: bytes, request_id: str, deployment: str | None) -> Call:
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
    return Call(request_id, name, request, wants_usage, count_input_tokens(request))


def count_input_tokens(request: ChatRequest) -> int:
    characters = sum(_characters(message) for message in request.messages)
    if request.tools:
        characters += len(orjson.dumps(request.tools))
    return characters // CHARACTERS_PER_TOKEN + TOKENS_PER_MESSAGE * len(request.messages)


def decide_reply(call: Call, endpoint: Endpoint, answers: AnswerSource, seed: int) -> Reply:
    """Everything about the answer but its time; a function of (seed, request) alone."""
    fault = draw_fault(seed, call.request_id, endpoint.faults)
    text, tool_calls, finish_reason, output_tokens = "", (), "stop", 0  # type: str, Sequence[ToolCall], str, int
    right, corruption = None, None  # type: bool | None, str | None
    if fault == "length":
        finish_reason, output_tokens = "length", call.request.generation.output_limit or UNSTATED_MAX_TOKENS
    elif fault == "content_filter":
        finish_reason = "content_filter"
    elif fault not in ("empty", "error_500", "reset"):
        answer = answers.answer(call.request_id, call.request, call.name)
        tool_calls = answer.tool_calls
        if fault in (None, "stall"):
            right, corruption = answer.right, answer.corruption
        text, finish_reason, output_tokens = _fit(answer.text, tool_calls, call.request.generation.output_limit)
    return Reply(
        response_id="chatcmpl-" + draw_name(seed, "response", f"{endpoint.key}/{endpoint.name}/{call.request_id}"),
        model=endpoint.model,
        text=text,
        tool_calls=tool_calls,
        finish_reason=finish_reason,
        input_tokens=call.input_tokens,
        output_tokens=output_tokens,
        right=right,
        fault=fault,
        corruption=corruption,
    )


def _fit(text: str, tool_calls: Sequence[ToolCall], max_tokens: int | None) -> tuple[str, str, int]:
    """Text, finish reason and output tokens once max_tokens has its way."""
    calls_tokens = -(-len(orjson.dumps(tool_calls)) // CHARACTERS_PER_TOKEN) if tool_calls else 0
    tokens = max(1, -(-len(text) // CHARACTERS_PER_TOKEN) + calls_tokens)
    if tool_calls:
        return text, "tool_calls", tokens
    if max_tokens is not None and tokens > max_tokens:
        return text[: max_tokens * CHARACTERS_PER_TOKEN], "length", max_tokens
    return text, "stop", tokens


def _characters(message: Message) -> int:
    content = message.get("content")
    count = len(content) if isinstance(content, str) else len(orjson.dumps(content)) if content else 0
    calls = message.get("tool_calls")
    return count + len(orjson.dumps(calls)) if calls else count
