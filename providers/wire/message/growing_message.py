"""The message of a streamed answer: deltas in, the message that an answer in one piece would hold out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .growing import GrowingParts, UnknownShape
from .tool_calls import GrowingCalls

_TEXTS: Final = ("reasoning_content", "reasoning", "thinking", "refusal")
"""Fields of a delta that are tokens; `content` is the usual one."""


class GrowingMessage:
    """Takes deltas. What a server says beside text and tool calls is kept under its own name."""

    __slots__ = ("_calls", "_content", "_fields", "_parts", "_texts")

    def __init__(self) -> None:
        self._content: list[str] = []
        self._texts: dict[str, list[str]] = {}
        self._parts: dict[str, GrowingParts] = {}
        self._fields: dict[str, object] = {}
        self._calls = GrowingCalls()

    def add(self, delta: object) -> bool:
        """Take a delta; return whether it carries a token: a role alone does not. Raises UnknownShape."""
        if not isinstance(delta, dict):
            raise UnknownShape("a chunk's delta is not an object")
        content = delta.get("content")
        if content and isinstance(content, str):
            self._content.append(content)
            fields = len(delta)
            if fields == 1 or (fields == 2 and "role" in delta):  # most chunks end here
                return True
        return self._add_rarer_parts(delta, content)

    def _add_rarer_parts(self, delta: Mapping[str, object], content: object) -> bool:
        if content is not None and not isinstance(content, str | list):
            raise UnknownShape("a chunk's content is neither text nor a list of parts")
        has_token = bool(content)
        for name, value in delta.items():
            if not value or name == "role" or (name == "content" and isinstance(value, str)):
                continue
            if name == "tool_calls":
                self._calls.add(value)
            elif name == "function_call":
                self._calls.add([{"index": 0, "type": "function", "function": value}])
            elif not self._add_field(name, value):
                continue
            has_token = True
        return has_token

    def _add_field(self, name: str, value: object) -> bool:
        """Take any other field; return whether it carries a token."""
        if isinstance(value, list):
            if name == "content":
                self._hold_content()
            self._parts.setdefault(name, GrowingParts()).add(value)
            return name == "content"
        if name in _TEXTS and isinstance(value, str):
            self._texts.setdefault(name, []).append(value)
            return True
        self._fields[name] = value
        return False

    def _hold_content(self) -> None:
        """Make a part of the plain text that came before a list of parts."""
        if self._content:
            self._parts.setdefault("content", GrowingParts()).add([{"type": "text", "text": "".join(self._content)}])
            self._content = []

    def joined(self) -> dict[str, object]:
        """Join what has come so far."""
        if "content" in self._parts:
            self._hold_content()
        message: dict[str, object] = {"role": "assistant", "content": "".join(self._content), **self._fields}
        message |= {name: "".join(texts) for name, texts in self._texts.items()}
        message |= {name: parts.joined() for name, parts in self._parts.items()}
        if calls := self._calls.joined():
            message["tool_calls"] = calls
        return message
