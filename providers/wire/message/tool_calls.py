"""Reads tool calls, whole and in pieces. The arguments of a call are always returned as JSON text."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Final, cast

import orjson

from ...messages import ToolCall
from ..received import Received
from .growing import GrowingObject, UnknownShape

_KINDS: Final = ("function", "custom")
_FUNCTION_TEXTS: Final = frozenset({"arguments", "input"})
_NOTHING_GROWS: Final[frozenset[str]] = frozenset()


def read_tool_calls(message: Mapping[str, object], received: Received) -> list[ToolCall]:
    """Read the calls of a message, a legacy function call included. Raises Malformed where their shape is unknown."""
    calls = message.get("tool_calls")
    if not calls:
        legacy = message.get("function_call")
        calls = [{"type": "function", "function": legacy}] if legacy else []
    if not isinstance(calls, list) or not all(_is_tool_call(call) for call in calls):
        raise received.malformed("the tool calls have an unknown shape")
    try:
        return [_with_text_arguments(call) for call in calls]
    except TypeError as error:
        raise received.malformed("the tool calls are nested too deeply") from error


def _is_tool_call(call: object) -> bool:
    return isinstance(call, dict) and any(isinstance(call.get(kind), dict) for kind in _KINDS)


def _with_text_arguments(call: dict[str, object]) -> ToolCall:
    """Return the call with its arguments as text: some servers send an object, and null for no arguments."""
    function = call.get("function")
    if isinstance(function, dict) and not isinstance(arguments := function.get("arguments"), str):
        text = "" if arguments is None else orjson.dumps(arguments).decode()
        call = {**call, "function": {**function, "arguments": text}}
    return cast("ToolCall", call)


class GrowingCalls:
    """The tool calls of one stream, identified by index, and by id where a server uses an index twice or sends none."""

    __slots__ = ("_by_id", "_calls", "_open")

    def __init__(self) -> None:
        self._calls: list[tuple[int, GrowingCall]] = []
        """Pairs of index and call, in the order in which the calls began."""
        self._open: dict[int, GrowingCall] = {}
        """By index: the call that pieces without an id continue."""
        self._by_id: dict[tuple[object, str], GrowingCall] = {}
        """By index (None where there is none) and id."""

    def add(self, pieces: object) -> None:
        """Add the tool calls of one chunk. Raises UnknownShape."""
        if not isinstance(pieces, list):
            raise UnknownShape("a chunk's tool calls are not a list")
        for piece in pieces:
            if not isinstance(piece, dict):
                raise UnknownShape("a tool call is not an object")
            index = piece.get("index") if isinstance(piece.get("index"), int) else None
            call_id = piece.get("id") if isinstance(piece.get("id"), str) else None
            call = self._find_without_index(piece, call_id) if index is None else self._find(index, piece, call_id)
            call.add(piece)
            if call_id:
                self._by_id.setdefault((index, call_id), call)

    def joined(self) -> list[dict[str, object]]:
        """Join the pieces that were added so far."""
        return [call.joined() for _, call in sorted(self._calls, key=itemgetter(0))]

    def _find(self, index: int, piece: Mapping[str, object], call_id: str | None) -> GrowingCall:
        call = self._open.get(index)
        if call is None:
            return self._begin(index)
        known_id = call.fields.get("id")
        if not call_id or not known_id or call_id == known_id:
            return call
        return self._by_id.get((index, call_id)) or (self._begin(index) if _has_name(piece) else call)

    def _find_without_index(self, piece: Mapping[str, object], call_id: str | None) -> GrowingCall:
        """Find the call of a piece without an index: most servers that send no index send whole calls."""
        last = self._calls[-1][1] if self._calls else None
        if last is None or (last.has_name() and _has_name(piece)):
            return self._begin(len(self._calls))
        if not call_id or not last.fields.get("id"):
            return last
        return self._by_id.get((None, call_id)) or self._begin(len(self._calls))

    def _begin(self, index: int) -> GrowingCall:
        call = GrowingCall()
        self._calls.append((index, call))
        self._open[index] = call
        return call


class GrowingCall:
    """A tool call that is built from pieces: its arguments grow, its name is sent once."""

    __slots__ = ("_kinds", "fields")

    def __init__(self) -> None:
        self.fields = GrowingObject(_NOTHING_GROWS)
        self._kinds: dict[str, GrowingObject] = {}

    def add(self, piece: Mapping[str, object]) -> None:
        """Add a piece; the first id is kept."""
        skipped = ("index", "id", *_KINDS) if self.fields.get("id") else ("index", *_KINDS)
        self.fields.add({name: value for name, value in piece.items() if name not in skipped})
        for kind in _KINDS:
            if isinstance(fields := piece.get(kind), dict):
                self._kinds.setdefault(kind, GrowingObject(_FUNCTION_TEXTS)).add(fields)

    def has_name(self) -> bool:
        """Return whether the name of the call was received."""
        return any(fields.get("name") for fields in self._kinds.values())

    def joined(self) -> dict[str, object]:
        """Join the pieces that were added so far."""
        return self.fields.joined() | {kind: fields.joined() for kind, fields in self._kinds.items()}


def _has_name(piece: Mapping[str, object]) -> bool:
    return any(isinstance(fields := piece.get(kind), dict) and fields.get("name") for kind in _KINDS)
