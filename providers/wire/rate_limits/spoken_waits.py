"""Reads waits from the text of an error: "retry after 6 seconds", "try again in 6m0s", and the time at which a limit is reset."""

from __future__ import annotations

import re

TEXT_LIMIT = 4096
"""Characters of a text that are searched."""
SECONDS_PER_UNIT = {"ms": 0.001, "millisecond": 0.001, "s": 1.0, "sec": 1.0, "second": 1.0}
SECONDS_PER_UNIT |= {
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "d": 86_400.0,
    "day": 86_400.0,
}
UNIT = r"(?:milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|h|days?|d)"
_AMOUNT = rf"(\d{{1,12}}(?:\.\d{{1,12}})?)\s*({UNIT})"
_AMOUNTS = re.compile(rf"{_AMOUNT}(?![a-z])", re.IGNORECASE)
_WAIT = re.compile(
    rf'(?:(?:retry|try again)\s+(?:after|in)\s+|wait\s+(?:for\s+)?|retryDelay\\*"\s*:\s*\\*")((?:{_AMOUNT}\s*)+)(?![a-z])',
    re.IGNORECASE,
)
_RESET = re.compile(r'x-ratelimit-reset\\*"\s*:\s*\\*"?(\d{10,13})(?!\d)', re.IGNORECASE)
_EPOCH_MS = 10**11
"""An epoch above this counts milliseconds."""


def spoken_wait_s(text: str) -> float | None:
    """Find the wait that the text asks for, in seconds."""
    wait = _WAIT.search(text[:TEXT_LIMIT])
    return seconds_of(wait[1]) if wait else None


def spoken_reset(text: str) -> float | None:
    """Find the time at which a limit in the text is reset, as an epoch in seconds."""
    reset = _RESET.search(text[:TEXT_LIMIT])
    if reset is None:
        return None
    epoch = float(reset[1])
    return epoch / 1000 if epoch > _EPOCH_MS else epoch


def seconds_of(amounts: str) -> float | None:
    """Parse "6m0s", "34.5 s" or "10 h 17 m" to seconds; None where there is no amount."""
    spaced = re.sub(r"([a-z])(?=\d)", r"\1 ", amounts, flags=re.IGNORECASE)
    parts = _AMOUNTS.findall(spaced)
    return sum(float(number) * SECONDS_PER_UNIT[_singular(unit)] for number, unit in parts) if parts else None


def seconds_per(unit: str) -> float | None:
    """Return the seconds of a unit of time; None where it is none."""
    return SECONDS_PER_UNIT.get(_singular(unit))


def _singular(unit: str) -> str:
    unit = unit.lower()
    return unit.removesuffix("s") if len(unit) > 2 else unit
