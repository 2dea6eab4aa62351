"""OpenAI's Responses API: a chat payload is converted to its format, and its response to a chat completion.

Usage, refusals, masking and errors are therefore read as for a chat completion. Nothing is stored at the server: the reasoning is
received encrypted, kept in the assistant's message as `reasoning_items`, and sent back at its position with the next request. A field
that this API does not have (seed, stop) is sent unchanged, so that the server refuses it and no request is changed silently.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ...messages import ChatRequest, ChatResponse, Timing
from ...route import Route
from ..received import Received
from .chat import build_standard_payload, read_completion
from .generation import extra_fields

_FINAL: Final = frozenset({"completed", "incomplete", "failed"})
_FINISH_REASONS: Final = {"max_output_tokens": "length", "content_filter": "content_filter"}
_PART_TYPES: Final = {"text": "input_text", "output_text": "input_text"}


# ------------------------------------------------------------------ the request
def build_payload(route: Route, request: ChatRequest) -> dict[str, object]:
    """Build the JSON body; fields of `extra_body`, which use this API's names, override the others."""
    return {**build_standard_responses_payload(route, request), **(extra_fields(request) or {})}


def build_standard_responses_payload(route: Route, request: ChatRequest) -> dict[str, object]:
    """Build the body without `extra_body`."""
    return respell(build_standard_payload(route, request))


def respell(chat: Mapping[str, object]) -> dict[str, object]:
    """Convert a chat payload to one of the Responses API. Fields that both have, or that this API lacks, stay unchanged."""
    payload = {name: value for name, value in chat.items() if name not in _RESPELT}
    payload["input"] = [item for message in _listed(chat.get("messages")) for item in _input_items(message)]
    if tools := _listed(chat.get("tools")):
        payload["tools"] = [_flat_tool(tool) for tool in tools]
    limit = chat.get("max_completion_tokens", chat.get("max_tokens"))
    text = {"format": _flat(chat.get("response_format"), "json_schema"), "verbosity": chat.get("verbosity")}
    include = ["reasoning.encrypted_content", *(["message.output_text.logprobs"] if chat.get("logprobs") else [])]
    rarer = {
        "max_output_tokens": limit,
        "reasoning": {"effort": chat["reasoning_effort"]} if chat.get("reasoning_effort") else None,
        "text": {name: value for name, value in text.items() if value} or None,
        "tool_choice": _flat(chat.get("tool_choice"), "function"),
    }
    return {**payload, **{name: value for name, value in rarer.items() if value}, "store": False, "include": include}


_RESPELT: Final = frozenset(
    {"messages", "tools", "max_tokens", "max_completion_tokens", "reasoning_effort", "verbosity", "response_format",
     "tool_choice", "stream_options", "logprobs"}
)  # fmt: skip


def _input_items(message: object) -> Iterator[object]:
    """Yield the items of a message: its text, its tool calls, the reasoning before each; or a tool's result."""
    if not isinstance(message, Mapping):
        yield message
    elif message.get("role") == "tool":
        output = _parts(message.get("content"))
        yield {"type": "function_call_output", "call_id": message.get("tool_call_id"), "output": output}
    elif message.get("role") == "assistant":
        yield from _assistant_items(message)
    else:
        yield {"role": message.get("role"), "content": _parts(message.get("content"))}


def _assistant_items(message: Mapping[str, object]) -> Iterator[object]:
    texts = (
        [{"role": "assistant", "content": _assistant_text(message.get("content"))}] if message.get("content") else []
    )
    items = [*texts, *(_call_item(call) for call in _listed(message.get("tool_calls")))]
    thoughts = _listed(message.get("reasoning_items"))
    positions = _listed(message.get("reasoning_places")) or [0] * len(thoughts)
    for index, item in enumerate(items):
        yield from (thought for thought, position in zip(thoughts, positions, strict=False) if position == index)
        yield item


def _call_item(call: object) -> object:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping):
        return call
    named = {"name": function.get("name"), "arguments": function.get("arguments")}
    return {"type": "function_call", "call_id": call.get("id"), **named}


def _assistant_text(content: object) -> object:
    """Join the text of a content; parts of other kinds are left out, because the assistant's message may not contain them."""
    return (
        "".join(_text(part.get("text")) for part in content if isinstance(part, Mapping))
        if isinstance(content, list)
        else content
    )


def _parts(content: object) -> object:
    """Convert the parts of a content to this API's types; a text stays a text."""
    return [_part(part) for part in content] if isinstance(content, list | tuple) else (content or "")


def _part(part: object) -> object:
    if not isinstance(part, Mapping):
        return {"type": "input_text", "text": part} if isinstance(part, str) else part
    kind = part.get("type")
    if kind == "image_url":
        image = part.get("image_url")
        url = image.get("url") if isinstance(image, Mapping) else image
        detail = image.get("detail", "auto") if isinstance(image, Mapping) else "auto"
        return {"type": "input_image", "image_url": url, "detail": detail}
    if kind == "file" and isinstance(file := part.get("file"), Mapping):
        return {"type": "input_file", **file}
    return {**part, "type": _PART_TYPES.get(kind, kind)} if isinstance(kind, str) else part


def _flat_tool(tool: object) -> object:
    """Remove the wrapper of a function. `strict` is set to False, which is the default of a chat but not of this API."""
    if not isinstance(tool, Mapping) or not isinstance(tool.get("function"), Mapping):
        return tool
    return {"type": "function", "strict": False, **tool["function"]}


def _flat(value: object, wrapper: str) -> object:
    """Remove the wrapper of `{type: T, T: {…}}`."""
    inner = value.get(wrapper) if isinstance(value, Mapping) else None
    return {"type": wrapper, **inner} if isinstance(inner, Mapping) else value


# ------------------------------------------------------------------ the answer
def read_response(body: object, received: Received, timing: Timing) -> ChatResponse:
    """Read a response. Raises the ProviderError that the body stands for where it is not an answer."""
    return read_completion(as_completion(body, received), received, timing)


def as_completion(body: object, received: Received) -> object:
    """Convert a response to a chat completion; an error stays unchanged. Raises Malformed where its shape is unknown."""
    if not isinstance(body, dict) or body.get("error"):
        return body
    output, status = body.get("output"), body.get("status", "completed")
    if not isinstance(output, list) or not all(isinstance(item, dict) for item in output):
        raise received.malformed("the answer has no output")
    if status not in _FINAL or status == "failed":
        raise received.malformed(f"the response is not finished (status {str(status)[:40]})")
    message = as_message(output)
    choice = {"index": 0, "finish_reason": _finish_reason(body, message), "message": message}
    return {"id": body.get("id"), "model": body.get("model"), "choices": [choice], "usage": _usage(body.get("usage"))}


def as_message(output: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Join the items of the output to the assistant's message."""
    parts = [part for item in output if item.get("type") == "message" for part in _listed(item.get("content"))]
    calls = [_tool_call(item) for item in output if item.get("type") == "function_call"]
    text, refusal = _joined(parts, "output_text", "text"), _joined(parts, "refusal", "refusal")
    message: dict[str, object] = {"role": "assistant", "content": text or None}
    thoughts = list(_placed_thoughts(output, bool(text)))
    more = {
        "refusal": refusal,
        "tool_calls": calls,
        "reasoning_content": _reasoning_text(output),
        "reasoning_items": [thought for _, thought in thoughts],
        "reasoning_places": [position for position, _ in thoughts],
    }
    return {**message, **{name: value for name, value in more.items() if value}}


def _placed_thoughts(output: Sequence[Mapping[str, object]], has_text: bool) -> Iterator[tuple[int, object]]:
    """Yield the reasoning items to send back, each with the index of the item after it: the server refuses other positions."""
    calls, pending = 0, list[object]()
    for item in output:
        kind = item.get("type")
        if kind == "reasoning" and item.get("encrypted_content"):
            pending.append({name: value for name, value in item.items() if value is not None and name != "status"})
        elif kind in {"message", "function_call"}:
            position = has_text + calls if kind == "function_call" else 0
            yield from ((position, thought) for thought in pending)
            pending = []
            calls += kind == "function_call"


def _reasoning_text(output: Sequence[Mapping[str, object]]) -> str:
    """Return the readable reasoning: its text where a server shows it, else its summaries."""
    thoughts = [item for item in output if item.get("type") == "reasoning"]
    shown = [part for item in thoughts for part in _listed(item.get("content"))]
    summaries = [part for item in thoughts for part in _listed(item.get("summary"))]
    return _joined(shown, "reasoning_text", "text") or _joined(summaries, "summary_text", "text", between="\n\n")


def _tool_call(item: Mapping[str, object]) -> Mapping[str, object]:
    function = {"name": item.get("name"), "arguments": item.get("arguments")}
    return {"id": item.get("call_id") or item.get("id"), "type": "function", "function": function}


def _finish_reason(body: Mapping[str, object], message: Mapping[str, object]) -> str:
    if body.get("status") != "incomplete":
        return "tool_calls" if message.get("tool_calls") else "stop"
    details = body.get("incomplete_details")
    reason = _text(details.get("reason")) if isinstance(details, Mapping) else ""
    return _FINISH_REASONS.get(reason, reason or "incomplete")


def _usage(usage: object) -> object:
    if not isinstance(usage, Mapping):
        return usage
    return {
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "total_tokens": usage.get("total_tokens"),
        "prompt_tokens_details": usage.get("input_tokens_details"),
        "completion_tokens_details": usage.get("output_tokens_details"),
    }


def _joined(parts: Sequence[object], kind: str, name: str, between: str = "") -> str:
    texts = (_text(part.get(name)) for part in parts if isinstance(part, Mapping) and part.get("type") == kind)
    return between.join(text for text in texts if text)


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
