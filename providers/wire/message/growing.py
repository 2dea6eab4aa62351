"""Objects and lists that a stream sends in pieces. Pieces are kept and joined once at the end, so that the cost is linear in the length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

_PART_TEXTS: Final = frozenset({"text", "thinking", "summary"})
_INNER_TEXTS: Final = frozenset({"text"})


class UnknownShape(ValueError):
    """A piece has no shape that is known; the assembler reports it as Malformed."""


class GrowingObject:
    """Some of its fields grow with every piece; of any other the last value counts, and an empty one overwrites nothing."""

    __slots__ = ("_fields", "_growing", "_parts", "_texts")

    def __init__(self, growing: frozenset[str]) -> None:
        self._growing = growing
        self._fields: dict[str, object] = {}
        self._texts: dict[str, list[str]] = {}
        self._parts: dict[str, GrowingParts] = {}

    def add(self, piece: Mapping[str, object]) -> None:
        """Take what one chunk says of it."""
        for name, value in piece.items():
            if name in self._growing and isinstance(value, str):
                self._texts.setdefault(name, []).append(value)
            elif name in self._growing and isinstance(value, list) and self._growing is not _INNER_TEXTS:
                self._parts.setdefault(name, GrowingParts(_INNER_TEXTS)).add(value)
            elif value not in (None, ""):
                self._fields[name] = value

    def get(self, name: str) -> object:
        """Read a field that does not grow."""
        return self._fields.get(name)

    def joined(self) -> dict[str, object]:
        """Join what has come so far."""
        joined = dict(self._fields)
        for name, pieces in self._texts.items():
            if (text := "".join(pieces)) or name not in joined:
                joined[name] = text
        return joined | {name: parts.joined() for name, parts in self._parts.items()}


class GrowingParts:
    """A list whose last part grows: neighbours of one type and index are one part."""

    __slots__ = ("_growing", "_parts")

    def __init__(self, growing: frozenset[str] = _PART_TEXTS) -> None:
        self._growing = growing
        self._parts: list[object] = []

    def add(self, pieces: Sequence[object]) -> None:
        """Take the parts of one chunk."""
        for piece in pieces:
            if not isinstance(piece, dict):
                self._parts.append(piece)
                continue
            last = self._parts[-1] if self._parts else None
            if not isinstance(last, GrowingObject) or not self._continues(last, piece):
                last = GrowingObject(self._growing)
                self._parts.append(last)
            last.add(piece)

    def joined(self) -> list[object]:
        """Join what has come so far."""
        return [part.joined() if isinstance(part, GrowingObject) else part for part in self._parts]

    def _continues(self, last: GrowingObject, piece: Mapping[str, object]) -> bool:
        if any(last.get(name) != piece.get(name) for name in ("type", "index")):
            return False
        if last.get("id") and piece.get("id") and last.get("id") != piece["id"]:
            return False
        return "index" in piece or (not last.get("signature") and not self._growing.isdisjoint(piece))
