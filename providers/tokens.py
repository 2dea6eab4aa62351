"""Tokens before anybody has counted them: an estimate from the length of the text, which a model's own usage corrects.

Permits are asked for with these numbers. They are cheap on purpose (a short chat takes about a microsecond): a tokenizer per model
would cost more than the request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from .messages import JSON, Message, Tool, Usage

BYTES_PER_TOKEN = 4.0
"""UTF-8 bytes a token: about four letters of English, and three quarters of a token for a Chinese, Japanese or Korean character."""

_MESSAGE_BYTES = 16
"""Role and delimiters of one message: about four tokens."""
_IMAGE_BYTES = 4000
"""An image counts by its size in pixels, not by its encoding: about a thousand tokens."""
_LEARNING_RATE = 0.1
_BELIEVABLE = (0.02, 4.0)
"""Tokens per byte outside these bounds are an accounting fault of the server, not a tokenizer."""


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of a text; 0 for an empty one."""
    return round(_utf8_length(text) / BYTES_PER_TOKEN + 0.49)


class TokenEstimator:
    """Of one model: learns its tokens per byte from the usage of its answers (an exponential mean, so that it follows a drift)."""

    __slots__ = ("_tokens_per_byte",)

    def __init__(self) -> None:
        self._tokens_per_byte = 1 / BYTES_PER_TOKEN

    def estimate(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Estimate the input tokens of a request; at least 1."""
        return max(1, round(prompt_bytes(messages, tools) * self._tokens_per_byte))

    def learn(self, messages: Sequence[Message], tools: Sequence[Tool], usage: Usage) -> None:
        """Take in what the server counted for this request; our own estimates teach nothing."""
        length = prompt_bytes(messages, tools)
        if usage.estimated or usage.input_tokens <= 0 or length == 0:
            return
        ratio = usage.input_tokens / length
        if _BELIEVABLE[0] <= ratio <= _BELIEVABLE[1]:
            self._tokens_per_byte += _LEARNING_RATE * (ratio - self._tokens_per_byte)


def prompt_bytes(messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
    """UTF-8 length of all that a request makes the model read."""
    total = 0
    for message in messages:
        content = message.get("content")
        total += _MESSAGE_BYTES + (_utf8_length(content) if isinstance(content, str) else _parts_bytes(content))
        if calls := message.get("tool_calls"):
            total += len(orjson.dumps(calls))
    return total + len(orjson.dumps(list(tools))) if tools else total


def _parts_bytes(parts: JSON) -> int:
    if not isinstance(parts, Sequence) or isinstance(parts, str):
        return 0
    return sum(_part_bytes(part) for part in parts)


def _part_bytes(part: JSON) -> int:
    if not isinstance(part, Mapping):
        return 0
    text = part.get("text")
    return _utf8_length(text) if isinstance(text, str) else _IMAGE_BYTES


def _utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
