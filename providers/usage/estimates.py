"""Token counts before the server reports them: estimates from the length of the text, corrected by the reported usage.

The limiter reserves these numbers. The estimate is cheap on purpose (about a microsecond for a short chat): a tokenizer per model would
cost more than the request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from ..messages import JSON, Message, Tool, Usage

BYTES_PER_TOKEN = 4.0
"""UTF-8 bytes per token: about four letters of English; a Chinese, Japanese or Korean character counts as three quarters of a token."""

_MESSAGE_BYTES = 16
"""Role and delimiters of one message: about four tokens."""
_IMAGE_BYTES = 4000
"""Bytes that an image counts for, whatever the size of its encoding: about a thousand tokens."""
_LEARNING_RATE = 0.1
_BELIEVABLE = (0.02, 4.0)
"""Lowest and highest plausible tokens per byte; outside them the server's usage is wrong and is ignored."""


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of a text; 0 for an empty one."""
    return round(_utf8_length(text) / BYTES_PER_TOKEN + 0.49)


class TokenEstimator:
    """Estimates the input tokens of one model's requests.

    It learns the tokens per byte from the usage of the model's answers, as an exponential moving average.
    """

    __slots__ = ("_tokens_per_byte",)

    def __init__(self) -> None:
        self._tokens_per_byte = 1 / BYTES_PER_TOKEN

    def estimate(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Estimate the input tokens of a request; at least 1."""
        return self.estimate_bytes(prompt_bytes(messages, tools))

    def estimate_bytes(self, length: int) -> int:
        """Estimate the input tokens of a request of `prompt_bytes` length; at least 1."""
        return round(length * self._tokens_per_byte) or 1

    def learn(self, messages: Sequence[Message], tools: Sequence[Tool], usage: Usage) -> None:
        """Update the tokens per byte from the server's usage of a request; estimated usage is ignored."""
        self.learn_bytes(prompt_bytes(messages, tools), usage)

    def learn_bytes(self, length: int, usage: Usage) -> None:
        """Update the tokens per byte from the server's usage of a request of `prompt_bytes` length."""
        if usage.estimated or usage.input_tokens <= 0 or length == 0:
            return
        ratio = usage.input_tokens / length
        if _BELIEVABLE[0] <= ratio <= _BELIEVABLE[1]:
            self._tokens_per_byte += _LEARNING_RATE * (ratio - self._tokens_per_byte)


def prompt_bytes(messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
    """Return the UTF-8 length of everything in a request that the model reads."""
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
