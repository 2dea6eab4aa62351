"""The wire format, read and written: a request becomes a payload, a body becomes an answer or the error that it is.

Pure functions, shared by both transports. What leaves here as a ChatResponse has text or a tool call: no error, no empty string and no
default ever stands where a model's answer should be. JSON objects are dicts here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from ..errors import ContentFiltered, Empty, Evidence, Truncated
from ..messages import ChatRequest, ChatResponse, Timing, ToolCall, Usage
from ..provider import Route
from ..tokens import BYTES_PER_TOKEN, estimate_tokens, prompt_bytes
from ..wire.headers import read_hint
from ..wire.received import Received
from ..wire.refusals import classify_error_body

BELIEVABLE_TOKENS = 10**8
"""No context is longer: a count above this is an accounting fault, and would drown every sum that it entered."""


def build_payload(route: Route, request: ChatRequest) -> dict[str, object]:
    """Build the JSON body; `extra_body` goes in last and wins."""
    payload = build_standard_payload(route, request)
    if request.extra_body:
        payload.update(request.extra_body)
    return payload


def build_standard_payload(route: Route, request: ChatRequest) -> dict[str, object]:
    """Build the body without `extra_body`; what is not set is not sent."""
    payload: dict[str, object] = {"model": route.instance.deployment, "messages": request.messages}
    if request.tools:
        payload["tools"] = request.tools
    if request.max_tokens is not None:
        payload["max_tokens"] = request.max_tokens
    if request.temperature is not None:
        payload["temperature"] = request.temperature
    if request.seed is not None:
        payload["seed"] = request.seed
    if request.stream:
        payload["stream"] = True
        payload["stream_options"] = {"include_usage": True}
    return payload


def is_event_stream(content_type: str, request: ChatRequest) -> bool:
    """Whether the answer is a stream of events: what the server says counts, then what was asked for."""
    return "event-stream" in content_type or (request.stream and not ("json" in content_type or "html" in content_type))


def read_completion(body: object, received: Received, timing: Timing) -> ChatResponse:
    """Read a chat completion. Raises the error that the body is, where it is not an answer."""
    if not isinstance(body, dict):
        raise received.malformed("the answer is not a JSON object")
    if body.get("error"):
        raise classify_error_body(body, received)
    choice = _first_choice(body, received)
    finish_reason = _finish_reason(choice, received)
    message = choice.get("message")
    if message is None and finish_reason == "content_filter":
        message = {}
    if not isinstance(message, dict):
        raise received.malformed("the answer has no message")
    text, tool_calls = received.without_key(_read_text(message, received)), _read_tool_calls(message, received)
    usage = _read_usage(body.get("usage")) or _estimate_usage(received.request, text)
    response_id = received.without_key(_text_or_nothing(body.get("id")))
    if finish_reason == "content_filter" or not (tool_calls or text.strip()):
        raise _no_answer(finish_reason, received, received.evidence(usage, response_id))
    return ChatResponse(
        text=text,
        tool_calls=tool_calls,
        finish_reason=finish_reason,
        usage=usage,
        timing=timing,
        hint=read_hint(received.headers),
        response_id=response_id,
        response_model=received.without_key(_text_or_nothing(body.get("model"))),
        system_fingerprint=received.without_key(_text_or_nothing(body.get("system_fingerprint"))) or None,
        refused=_is_refusal(message),
    )


def _no_answer(finish_reason: str, received: Received, evidence: Evidence) -> ContentFiltered | Truncated | Empty:
    if finish_reason == "content_filter":
        return ContentFiltered(f"{received.instance}: the answer was stopped by the content filter", evidence)
    if finish_reason == "length":
        return Truncated(f"{received.instance}: max_tokens was used up before any text came; raise it", evidence)
    return Empty(f"{received.instance}: the model finished ({finish_reason or 'no reason'}) without text", evidence)


def _first_choice(body: Mapping[str, object], received: Received) -> Mapping[str, object]:
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise received.malformed("the answer has no choices")
    return choices[0]


def _finish_reason(choice: Mapping[str, object], received: Received) -> str:
    reason = choice.get("finish_reason")
    if reason is None:
        return ""
    if not isinstance(reason, str):
        raise received.malformed("the finish reason is not a text")
    return received.without_key(reason)


def _read_text(message: Mapping[str, object], received: Received) -> str:
    """The content, as a string or a list of parts; a refusal is what the model said, so it is its text."""
    content = message.get("content")
    if isinstance(content, str) and content:
        return content
    if isinstance(content, list):
        content = "".join(_part_text(part, received) for part in content)
    elif content is not None and not isinstance(content, str):
        raise received.malformed("the content is neither text nor a list of parts")
    return content or _text_or_nothing(message.get("refusal"))


def _is_refusal(message: Mapping[str, object]) -> bool:
    """A refusal in its own field, or in a part of the content."""
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return bool(message.get("refusal")) or any(isinstance(part, dict) and part.get("refusal") for part in parts)


def _part_text(part: object, received: Received) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        raise received.malformed("a part of the content has no shape that is known")
    return _text_or_nothing(part.get("text")) or _text_or_nothing(part.get("refusal"))


def _read_tool_calls(message: Mapping[str, object], received: Received) -> Sequence[ToolCall]:
    calls = message.get("tool_calls")
    if not calls:
        legacy = message.get("function_call")
        calls = [{"type": "function", "function": legacy}] if legacy else []
    if not isinstance(calls, list) or not all(_is_tool_call(call) for call in calls):
        raise received.malformed("the tool calls have no shape that is known")
    return _without_key(calls, received) if calls else calls


def _without_key(calls: Sequence[ToolCall], received: Received) -> Sequence[ToolCall]:
    try:
        said = orjson.dumps(calls).decode()
    except TypeError as error:
        raise received.malformed("the tool calls are nested too deeply") from error
    masked = received.without_key(said)
    return calls if masked == said else orjson.loads(masked)


def _is_tool_call(call: object) -> bool:
    return isinstance(call, dict) and any(isinstance(call.get(kind), dict) for kind in ("function", "custom"))


def _read_usage(usage: object) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    input_tokens = _count(usage.get("prompt_tokens", usage.get("input_tokens")))
    output_tokens = _count(usage.get("completion_tokens", usage.get("output_tokens")))
    if input_tokens is None or output_tokens is None:
        return None
    cached = _detail(usage, "prompt_tokens_details", "cached_tokens") or _count(usage.get("prompt_cache_hit_tokens"))
    reasoning = _detail(usage, "completion_tokens_details", "reasoning_tokens")
    return Usage(input_tokens, output_tokens, cached or 0, reasoning or 0)


def _detail(usage: Mapping[str, object], group: str, name: str) -> int | None:
    details = usage.get(group)
    return _count(details.get(name)) if isinstance(details, dict) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= BELIEVABLE_TOKENS else None


def _estimate_usage(request: ChatRequest, text: str) -> Usage:
    prompt_tokens = round(prompt_bytes(request.messages, request.tools) / BYTES_PER_TOKEN)
    return Usage(prompt_tokens, estimate_tokens(text), estimated=True)


def _text_or_nothing(value: object) -> str:
    return value if isinstance(value, str) else ""
