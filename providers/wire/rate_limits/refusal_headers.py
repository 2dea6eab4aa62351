"""Reads from the headers of a refusal which limit it is about: the one that a gateway names, or the only one that is used up."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...messages import LimitKind, RateLimitHint
from .spoken_limits import StatedLimit, believable_limit, kind_of
from .spoken_waits import seconds_per

_VALUE_LIMIT = 1024
"""Characters of a header that are read."""
_NAMED = ("rate_limit_type", "x-rate-limit-type", "x-ratelimit-type")
"""Headers that name the kind: LiteLLM's, and spellings of it."""
_LEFT_OF_WINDOW = re.compile(
    r"((?:x-)?(?:ai-)?ratelimit)-remaining(?:-(requests|req|tokens))?-(second|minute|hour|day)(-\w{1,40})?"
)
"""Kong, Mistral, Hugging Face, Cerebras; `x-ai-ratelimit-remaining-minute-azure` counts tokens."""
_POLICY = re.compile(r'"?([\w.-]{1,80})"?((?:\s{0,4};\s{0,4}[a-z]{1,4}="?[\w.-]{1,40}"?){1,8})')
_PARAMETER = re.compile(r'([a-z]{1,4})="?([\w.-]{1,40})')


def stated_in_headers(headers: Mapping[str, str], hint: RateLimitHint) -> StatedLimit | None:
    """Find what the headers of a refusal state about the limit; `hint` has the limits that they list."""
    for name in _NAMED:
        if (kind := kind_of(headers.get(name, ""))) is not None:
            return StatedLimit(kind, source=f"header {name}", is_explicit=True)
    return _used_up_policy(headers) or _used_up_window(headers) or _used_up_amount(hint)


def _used_up_policy(headers: Mapping[str, str]) -> StatedLimit | None:
    """Find the policy of the IETF draft of which nothing is left: `"minute";r=0;t=30` with `"minute";q=100;w=60`."""
    if "ratelimit" not in headers or "ratelimit-policy" not in headers:
        return None
    empty = [name for name, values in _policies(headers["ratelimit"]) if _zero(values.get("r"))]
    if len(empty) != 1:
        return None
    name = empty[0]
    values = dict(_policies(headers["ratelimit-policy"])).get(name, {})
    kind = kind_of(values.get("qu", "")) or kind_of(name) or "requests"
    limit = _limit(values.get("q"))
    window_s = None if kind == "concurrency" else _limit(values.get("w"))
    return StatedLimit(kind, limit, window_s, name, (), limit, "header ratelimit")


def _policies(header: str) -> list[tuple[str, dict[str, str]]]:
    return [(name, dict(_PARAMETER.findall(values))) for name, values in _POLICY.findall(header[:_VALUE_LIMIT].lower())]


def _used_up_window(headers: Mapping[str, str]) -> StatedLimit | None:
    """Find the one window of which nothing is left: `x-ratelimit-remaining-hour: 0`."""
    empty = []
    for name, value in headers.items():
        parts = _LEFT_OF_WINDOW.fullmatch(name.lower())
        if parts is not None and _zero(value):
            empty.append(parts)
    if len(empty) != 1:
        return None
    parts = empty[0]
    kind: LimitKind = "tokens" if parts[2] == "tokens" or "-ai-" in parts[1] else "requests"
    limit = _limit(headers.get(parts[0].replace("-remaining", "-limit")))
    return StatedLimit(kind, limit, seconds_per(parts[3]), None, (), limit, f"header {parts[0][:60]}")


def _used_up_amount(hint: RateLimitHint) -> StatedLimit | None:
    """Find the unit of which nothing is left while something is left of the other, or the other is not listed."""
    if (hint.remaining_requests == 0) == (hint.remaining_tokens == 0):
        return None
    kind: LimitKind = "requests" if hint.remaining_requests == 0 else "tokens"
    return StatedLimit(kind, source=f"header remaining {kind}")


def _zero(value: str | None) -> bool:
    return value is not None and value[:_VALUE_LIMIT].strip() in ("0", "0.0")


def _limit(value: str | None) -> float | None:
    return believable_limit(value.strip()) if value and re.fullmatch(r"\s*\d{1,24}\s*", value[:_VALUE_LIMIT]) else None
