"""The assistant's turn: the model's text, reasoning and tool calls, and the message that continues the conversation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

import orjson

from ...messages import JSON, Message, ToolCall
from ..received import Received
from .reasoning import is_thinking, read_reasoning, split_thinking
from .tool_calls import read_tool_calls

_REPORTS: Final = frozenset(
    {"role", "content", "refusal", "tool_calls", "function_call", "annotations", "audio", "citations", "context",
     "content_filter_results", "executed_tools", "images", "index", "parsed"}
)  # fmt: skip
"""Fields that are sent back in another form, or not at all because strict servers refuse them in a request."""

THINK_TAG: Final = "think>"
"""The end of the tags around reasoning in a text."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The content of one message of the assistant."""

    text: str
    """The text without the reasoning."""
    tool_calls: Sequence[ToolCall]
    reasoning: str
    assistant: Message
    refused: bool


def is_plain(message: Mapping[str, object]) -> bool:
    """Return whether the message holds a text and nothing else, which is the usual case."""
    content = message.get("content")
    if type(content) is not str or not content:
        return False
    if THINK_TAG[-1] in content and THINK_TAG in content:  # one character is found twenty times faster
        return False
    return sum(map(bool, message.values())) == (2 if "role" in message else 1)


def read_turn(message: Mapping[str, object], received: Received) -> Turn:
    """Read a message with its text, reasoning and tool calls. Raises Malformed where its shape is unknown."""
    content = _read_content(message.get("content"), received)
    refusal = message.get("refusal")
    own_text = _text_of(content, received) or (refusal if isinstance(refusal, str) else "")
    calls = read_tool_calls(message, received)
    kept = {name: value for name, value in message.items() if value and name not in _REPORTS}
    turn = {"role": "assistant", "content": content or own_text or None, **kept}
    assistant = _without_key({**turn, "tool_calls": calls} if calls else turn, received)
    text, reasoning = received.masking.without_keys(own_text), read_reasoning(assistant)
    if THINK_TAG in text:
        thought, text = split_thinking(text, may_lack_start=not reasoning)
        reasoning = reasoning or thought
    return Turn(
        text=text,
        tool_calls=cast("Sequence[ToolCall]", assistant.get("tool_calls", ())),
        reasoning=reasoning if reasoning.strip() else "",
        assistant=assistant,
        refused=_is_refusal(message),
    )


def _read_content(content: object, received: Received) -> JSON:
    """Read the content as it is sent back. Cloudflare writes structured output as an object: its JSON is the text."""
    if isinstance(content, dict) and content:
        try:
            return json.dumps(content, ensure_ascii=False)
        except RecursionError as error:
            raise received.malformed("the content is nested too deeply") from error
    if content is not None and not isinstance(content, str | list):
        raise received.malformed("the content is neither text nor a list of parts")
    return content


def _text_of(content: JSON, received: Received) -> str:
    """Join the text of a content; reasoning parts are left out."""
    if isinstance(content, list):
        return "".join(_part_text(part, received) for part in content if not is_thinking(part))
    return content if isinstance(content, str) else ""


def _part_text(part: object, received: Received) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        raise received.malformed("a part of the content has an unknown shape")
    text = part.get("text") or part.get("refusal")
    return text if isinstance(text, str) else ""


def _is_refusal(message: Mapping[str, object]) -> bool:
    """Return whether there is a refusal, in its own field or in a part of the content."""
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return bool(message.get("refusal")) or any(isinstance(part, dict) and part.get("refusal") for part in parts)


def _without_key(turn: Mapping[str, object], received: Received) -> Message:
    """Mask the key in the turn. Raises Malformed where the turn is nested too deeply to be serialised."""
    try:
        written = orjson.dumps(turn).decode()
    except TypeError as error:
        raise received.malformed("the message is nested too deeply") from error
    masked = received.masking.without_keys(written)
    return cast("Message", turn if masked == written else orjson.loads(masked))
