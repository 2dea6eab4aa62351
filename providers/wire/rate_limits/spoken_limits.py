"""Reads from the text of a refusal which limit it is about: kind, number, window, scope and usage. `limit_wordings` has the words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...messages import LimitKind, LimitScope
from .limit_wordings import CROSSED, CROSSED_KINDS, MENTIONS, SCOPES, WORDINGS
from .spoken_waits import TEXT_LIMIT, seconds_per

MOST = 1e12
"""A larger number stands for "no limit"."""
_SOURCE_LIMIT = 60

_KINDS: tuple[tuple[LimitKind, re.Pattern[str]], ...] = (
    ("concurrency", re.compile("concurren|parallel|simultaneous")),
    ("tokens", re.compile("token|^tp[smhd]$")),
    ("requests", re.compile("request|call|^rp[smhd]$")),
)
_WINDOWS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_NAMED_WINDOW = re.compile("(?:per|by)_?(second|minute|hour|day)")


@dataclass(frozen=True, slots=True)
class StatedLimit:
    """What a refusal says of the limit; fields that it does not state are None."""

    kind: LimitKind | None
    amount: float | None = None
    window_s: float | None = None
    quota: str | None = None
    """The server's name of the quota."""
    scope: tuple[LimitScope, ...] = ()
    usage: float | None = None
    source: str | None = None
    is_explicit: bool = False
    """Whether a header states the kind in a word of its own; words do not overrule it."""


def spoken_limit(text: str) -> StatedLimit | None:
    """Find what the text states about the limit."""
    as_written = text[:TEXT_LIMIT].strip()
    if as_written.startswith("<"):  # a web page
        return None
    text = as_written.lower()
    if not any(word in text for word in MENTIONS):
        return None
    if (crossed := CROSSED.search(text)) is not None:
        return _crossed(crossed)
    for kind, wording in WORDINGS:
        if (words := wording.search(text)) is not None:
            return _stated(kind, words, as_written)
    scope = _scope_in(text)
    return StatedLimit(None, scope=scope) if scope else None


def kind_of(word: str) -> LimitKind | None:
    """Return what a word such as "max_parallel_requests", "TPM" or "calls" counts."""
    word = word[:200].lower().strip()
    return next((kind for kind, words in _KINDS if words.search(word)), None)


def believable_limit(number: str | None) -> float | None:
    """Parse a limit; None for 0, for less, and for a number so large that it means no limit."""
    value = _number(number)
    return value if value else None


def _stated(kind: LimitKind | None, words: re.Match[str], as_written: str) -> StatedLimit:
    parts = words.groupdict()
    quota, word = parts.get("quota"), parts.get("kind")
    kind = kind or kind_of(word or quota or "")
    if len(as_written) != len(words.string):  # a few letters become two in lower case
        as_written = words.string
    source = f"words {_shown(as_written[slice(*words.span())])}"
    if kind == "overload":
        return StatedLimit(kind, source=source)
    amount, usage = believable_limit(parts.get("limit")), _number(parts.get("used"))
    left = _number(parts.get("left"))
    if usage is None and amount is not None and left is not None:
        usage = max(0.0, amount - left)
    window_s = None if kind == "concurrency" else _window_s(parts)
    named = as_written[slice(*words.span("quota"))] if quota else None
    return StatedLimit(kind, amount, window_s, named, _scope_in(words.string), usage, source)


def _window_s(parts: dict[str, str | None]) -> float | None:
    window, word, quota = parts.get("window"), parts.get("kind"), parts.get("quota")
    if window is not None:
        return float(parts.get("every") or 1.0) * (seconds_per(window) or 0.0) or None
    if word is not None and len(word) == 3:
        return _WINDOWS[word[2]]
    named = _NAMED_WINDOW.search(quota or "")
    return seconds_per(named[1]) if named else None


def _crossed(crossed: re.Match[str]) -> StatedLimit:
    """Choose the limit that the usage reaches; where several are reached, the one that is exceeded most."""
    numbers = crossed.groups()
    reached: list[tuple[float, StatedLimit]] = []
    scope, source = _scope_in(crossed[0]), f"words {_shown(crossed[0])}"
    for (kind, window_s), used, limit in zip(CROSSED_KINDS, numbers[::2], numbers[1::2], strict=True):
        usage, amount = _number(used), believable_limit(limit)
        if usage is not None and amount is not None and usage >= amount:
            reached.append((usage / amount, StatedLimit(kind, amount, window_s, None, scope, usage, source)))
    return max(reached, key=lambda one: one[0])[1] if reached else StatedLimit(None, scope=scope)


def _scope_in(text: str) -> tuple[LimitScope, ...]:
    return tuple(scope for scope, words in SCOPES if words.search(text))


def _number(text: str | None) -> float | None:
    """Parse a number with or without commas; None where it is negative or absurdly large."""
    if text is None:
        return None
    value = float(text.replace(",", ""))
    return value if 0 <= value <= MOST else None


def _shown(words: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in words[: 2 * _SOURCE_LIMIT])
    return " ".join(printable.split())[:_SOURCE_LIMIT]
