"""Tool calls, whole and in pieces. A call has a name and arguments as JSON text, whatever a server writes in their place."""

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
    """Read the calls of a message; a legacy function call is one. Raises Malformed where they have no shape that is known."""
    calls = message.get("tool_calls")
    if not calls:
        legacy = message.get("function_call")
        calls = [{"type": "function", "function": legacy}] if legacy else []
    if not isinstance(calls, list) or not all(_is_tool_call(call) for call in calls):
        raise received.malformed("the tool calls have no shape that is known")
    try:
        return [_with_text_arguments(call) for call in calls]
    except TypeError as error:
        raise received.malformed("the tool calls are nested too deeply") from error


def _is_tool_call(call: object) -> bool:
    return isinstance(call, dict) and any(isinstance(call.get(kind), dict) for kind in _KINDS)


def _with_text_arguments(call: dict[str, object]) -> ToolCall:
    """Write the arguments as text: some servers send an object, and null for none."""
    function = call.get("function")
    if isinstance(function, dict) and not isinstance(arguments := function.get("arguments"), str):
        text = "" if arguments is None else orjson.dumps(arguments).decode()
        call = {**call, "function": {**function, "arguments": text}}
    return cast("ToolCall", call)


class GrowingCalls:
    """The tool calls of one stream, told apart by their index, and by their id where servers use an index twice or give none."""

    __slots__ = ("_by_id", "_calls", "_open")

    def __init__(self) -> None:
        self._calls: list[tuple[int, GrowingCall]] = []
        """With the index, in the order in which they began."""
        self._open: dict[int, GrowingCall] = {}
        """By index, the one that pieces without an id continue."""
        self._by_id: dict[tuple[object, str], GrowingCall] = {}
        """By index, as far as there is one, and id."""

    def add(self, pieces: object) -> None:
        """Take the tool calls of one chunk. Raises UnknownShape."""
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
        """Join what has come so far."""
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
        """Find the call that a piece without an index belongs to: most servers that give none send whole calls."""
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
    """One call: its arguments grow, its name comes once."""

    __slots__ = ("_kinds", "fields")

    def __init__(self) -> None:
        self.fields = GrowingObject(_NOTHING_GROWS)
        self._kinds: dict[str, GrowingObject] = {}

    def add(self, piece: Mapping[str, object]) -> None:
        """Take a piece; the first id stays."""
        known = ("index", "id", *_KINDS) if self.fields.get("id") else ("index", *_KINDS)
        self.fields.add({name: value for name, value in piece.items() if name not in known})
        for kind in _KINDS:
            if isinstance(said := piece.get(kind), dict):
                self._kinds.setdefault(kind, GrowingObject(_FUNCTION_TEXTS)).add(said)

    def has_name(self) -> bool:
        """Tell whether its name has come."""
        return any(said.get("name") for said in self._kinds.values())

    def joined(self) -> dict[str, object]:
        """Join what has come so far."""
        return self.fields.joined() | {kind: said.joined() for kind, said in self._kinds.items()}


def _has_name(piece: Mapping[str, object]) -> bool:
    return any(isinstance(said := piece.get(kind), dict) and said.get("name") for kind in _KINDS)
