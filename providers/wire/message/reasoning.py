"""What a model thought before it answered: in a field of its own, in parts of the content, or between tags at its start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_FIELDS: Final = ("reasoning_content", "reasoning", "thinking", "reasoning_details", "thinking_blocks")
"""Of a message; the first that says anything counts, for several of them say the same."""
_PART_TYPES: Final = frozenset({"thinking", "reasoning", "redacted_thinking"})
_TEXTS: Final = ("text", "thinking", "summary", "reasoning")
"""Where a part keeps its words."""
_DEEPEST: Final = 4

_OPEN = re.compile(r"\s*+<think>")
_CLOSE: Final = "</think>"


def read_reasoning(message: Mapping[str, object]) -> str:
    """Read the reasoning of a message from its own fields or the thinking parts of its content; "" where there is none."""
    content = message.get("content")
    thoughts = [part for part in content if is_thinking(part)] if isinstance(content, list) else []
    return next((text for name in _FIELDS if (text := _text_of(message.get(name)))), "") or _text_of(thoughts)


def is_thinking(part: object) -> bool:
    """Tell whether a part of the content is not meant for the reader."""
    return isinstance(part, dict) and part.get("type") in _PART_TYPES


def split_thinking(text: str, *, may_lack_start: bool = True) -> tuple[str, str]:
    """Split the `<think>` blocks at the start of a text from the answer. An open one leaves no answer: it was cut off.

    Some chat templates put the opening tag into the prompt: then the text up to the first closing tag is the reasoning.
    """
    thoughts: list[str] = []
    at = 0
    while opening := _OPEN.match(text, at):
        end = text.find(_CLOSE, opening.end())
        if end < 0:
            return "".join([*thoughts, text[opening.end() :]]), ""
        thoughts.append(text[opening.end() : end])
        at = end + len(_CLOSE)
    if not thoughts and may_lack_start:
        before, tag, after = text.partition(_CLOSE)
        if tag and "<think>" not in before:
            return before, after.lstrip()
    return "".join(thoughts), text[at:].lstrip() if thoughts else text


def _text_of(value: object, levels: int = _DEEPEST) -> str:
    """Join the words of a text, a part, or a list of parts."""
    if isinstance(value, str):
        return value
    if not levels:
        return ""
    if isinstance(value, list):
        return "".join(_text_of(part, levels - 1) for part in value)
    if isinstance(value, dict):
        return next((text for name in _TEXTS if (text := _text_of(value.get(name), levels - 1))), "")
    return ""
