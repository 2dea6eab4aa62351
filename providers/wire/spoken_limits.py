"""Reads waits and limits from the text of an error: durations, times, and "Rate limit of 400000 per 60s exceeded for …Tokens"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_TEXT_LIMIT = 4096
_SECONDS_PER_UNIT = {"ms": 0.001, "millisecond": 0.001, "s": 1.0, "sec": 1.0, "second": 1.0}
_SECONDS_PER_UNIT |= {
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "d": 86_400.0,
    "day": 86_400.0,
}
_UNIT = r"(milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|h|days?|d)"
_AMOUNT = rf"(\d{{1,12}}(?:\.\d{{1,12}})?)\s*{_UNIT}"
_AMOUNTS = re.compile(rf"{_AMOUNT}(?![a-z])", re.IGNORECASE)
_WAIT = re.compile(
    rf'(?:(?:retry|try again)\s+(?:after|in)\s+|wait\s+(?:for\s+)?|retryDelay\\*"\s*:\s*\\*")((?:{_AMOUNT}\s*)+)(?![a-z])',
    re.IGNORECASE,
)
_RESET = re.compile(r'x-ratelimit-reset\\*"\s*:\s*\\*"?(\d{10,13})(?!\d)', re.IGNORECASE)
_EPOCH_MS = 10**11
"""An epoch above this counts milliseconds."""

_LIMIT_PER = re.compile(
    rf"rate limit of (\d[\d,]{{0,15}}) per (\d{{1,6}}) ?{_UNIT}\b(?: exceeded for (\w{{1,80}}))?", re.IGNORECASE
)
_LIMIT_ON = re.compile(r"on (tokens|requests) per (min|day)(?: \(\w{3}\))?: limit:? (\d{1,12})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class StatedLimit:
    """A rate limit that an error message states."""

    amount: float
    window_s: float
    unit: Literal["requests", "tokens"] | None
    quota: str | None = None
    """The server's name of the quota."""


def spoken_wait_s(text: str) -> float | None:
    """Find the wait that the text asks for, in seconds."""
    wait = _WAIT.search(text[:_TEXT_LIMIT])
    return seconds_of(wait[1]) if wait else None


def spoken_reset(text: str) -> float | None:
    """Find the time at which a limit in the text is reset, as an epoch in seconds."""
    reset = _RESET.search(text[:_TEXT_LIMIT])
    if reset is None:
        return None
    epoch = float(reset[1])
    return epoch / 1000 if epoch > _EPOCH_MS else epoch


def spoken_limit(text: str) -> StatedLimit | None:
    """Find the limit that the text states."""
    text = text[:_TEXT_LIMIT]
    if (per := _LIMIT_PER.search(text)) is not None:
        window_s = float(per[2]) * _SECONDS_PER_UNIT[_singular(per[3])]
        return StatedLimit(float(per[1].replace(",", "")), window_s, _unit_of((per[4] or "").lower()), per[4])
    if (on := _LIMIT_ON.search(text)) is not None:
        return StatedLimit(float(on[3]), _SECONDS_PER_UNIT[on[2].lower()], _unit_of(on[1].lower()))
    return None


def seconds_of(amounts: str) -> float | None:
    """Parse "6m0s", "34.5 s" or "10 h 17 m" to seconds; None where there is no amount."""
    spaced = re.sub(r"([a-z])(?=\d)", r"\1 ", amounts, flags=re.IGNORECASE)
    parts = _AMOUNTS.findall(spaced)
    return sum(float(number) * _SECONDS_PER_UNIT[_singular(unit)] for number, unit in parts) if parts else None


def _unit_of(counter: str) -> Literal["requests", "tokens"] | None:
    if "token" in counter:
        return "tokens"
    return "requests" if "request" in counter or "call" in counter else None


def _singular(unit: str) -> str:
    unit = unit.lower()
    return unit.removesuffix("s") if len(unit) > 2 else unit
