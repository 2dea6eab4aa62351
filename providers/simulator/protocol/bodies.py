"""Answers that are not streamed, as one JSON body, with faults and peculiarities of vendors."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import orjson

from .usage import build_usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...messages import ToolCall
    from ..settings.protocol import QuirkSettings
    from ..settings.provider import EndpointSettings
    from .calls import SimulatedReply
    from .dialects import Dialect

FINGERPRINT = "fp_simulator"
NO_FILTER = {"hate": {"filtered": False, "severity": "safe"}, "violence": {"filtered": False, "severity": "safe"}}
PROMPT_FILTER = [{"prompt_index": 0, "content_filter_results": NO_FILTER}]
BLANK_LINES = b"\n         \n\n         \n"
"""Blank lines that OpenRouter sends while it waits for the model's provider."""
_NO_LOGPROBS = b'"logprobs":null'
_NAN_LOGPROBS = b'"logprobs":{"content":[{"token":"a","logprob":NaN,"bytes":null,"top_logprobs":[]}]}'


def whole_body(reply: SimulatedReply, dialect: Dialect, settings: EndpointSettings) -> bytes:
    """Write the body of an answer that is not streamed; the fault "malformed" truncates it."""
    if reply.fault == "error_in_200":
        return orjson.dumps(dialect.server_error().body)
    message = _message(reply, settings)
    choice: dict[str, object] = {"index": 0, "message": message, "finish_reason": reply.finish_reason, "logprobs": None}
    body = envelope(reply, "chat.completion")
    body["choices"] = [choice]
    if settings.quirks.usage != "absent":
        body["usage"] = build_usage(reply, settings)
    if dialect.tells_filter_results:
        choice["content_filter_results"] = NO_FILTER
        body["prompt_filter_results"] = PROMPT_FILTER
    data = orjson.dumps(body)
    if settings.quirks.nan_logprobs:
        data = with_nan_logprobs(data)
    if settings.quirks.whitespace_first:
        data = BLANK_LINES + data
    return data[: len(data) * 2 // 3] if reply.fault == "malformed" else data


def _message(reply: SimulatedReply, settings: EndpointSettings) -> dict[str, object]:
    content: object = reply.text or (None if reply.tool_calls else "")
    message: dict[str, object] = {"role": "assistant", "content": content}
    if reply.reasoning and settings.reasoning == "field":
        message["reasoning_content"] = reply.reasoning
    elif reply.reasoning and settings.reasoning == "think":
        message["content"] = thinking_text(reply)
    elif reply.reasoning and settings.reasoning == "list":
        thinking = {**thinking_part(reply.reasoning), "closed": not reply.is_cut_in_reasoning}
        message["content"] = [thinking, *([text_part(reply.text)] if reply.text else [])]
    if reply.tool_calls:
        message["tool_calls"] = shape_calls(reply.tool_calls, settings.quirks)
    return message


def thinking_text(reply: SimulatedReply) -> str:
    """Write a content that contains the reasoning; the block stays unclosed where max_tokens cut it off."""
    opening = f"<think>\n{reply.reasoning}"
    return opening if reply.is_cut_in_reasoning else f"{opening}\n</think>\n\n{reply.text}"


def thinking_part(text: str) -> dict[str, object]:
    """Build Mistral's part for reasoning."""
    return {"type": "thinking", "thinking": [text_part(text)]}


def text_part(text: str) -> dict[str, object]:
    """Build Mistral's part for text."""
    return {"type": "text", "text": text}


def shape_calls(calls: Sequence[ToolCall], quirks: QuirkSettings) -> Sequence[ToolCall]:
    """Apply the endpoint's peculiarities to whole tool calls."""
    if not (quirks.missing_ids or quirks.null_arguments):
        return calls
    return [_shaped(call, quirks) for call in calls]


def _shaped(call: ToolCall, quirks: QuirkSettings) -> ToolCall:
    shaped = {key: value for key, value in call.items() if not (key == "id" and quirks.missing_ids)}
    function = call.get("function")
    if quirks.null_arguments and isinstance(function, dict) and function.get("arguments") in ("", "{}"):
        shaped["function"] = {**function, "arguments": None}
    return shaped


def with_nan_logprobs(data: bytes) -> bytes:
    """Replace the log-probabilities by NaN, which is not JSON; texts are unaffected, because their quotes are escaped."""
    return data.replace(_NO_LOGPROBS, _NAN_LOGPROBS)


def envelope(reply: SimulatedReply, kind: str) -> dict[str, object]:
    """Build the first fields of a whole answer or of a stream's chunk."""
    return {
        "id": reply.response_id,
        "object": kind,
        "created": int(time.time()),
        "model": reply.model,
        "system_fingerprint": FINGERPRINT,
    }
