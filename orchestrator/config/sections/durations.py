"""Durations as users write them: 90m, 2h30m, 45 s; a bare number is seconds."""

from __future__ import annotations

import re

_PARTS = re.compile(
    r"(?:(?P<d>[\d.]+)d)?(?:(?P<h>[\d.]+)h)?(?:(?P<m>[\d.]+)m(?:in)?)?(?:(?P<s>[\d.]+)s?)?", re.IGNORECASE
)
_SECONDS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}


def seconds_of(value: object) -> object:
    """Read a text as seconds, leave anything else as it is. Raises ValueError that says how to write it."""
    if not isinstance(value, str):
        return value
    found = _PARTS.fullmatch("".join(value.split()))
    try:
        amounts = {unit: float(amount) for unit, amount in found.groupdict().items() if amount} if found else {}
    except ValueError:
        amounts = {}
    if not amounts:
        message = f"write seconds, or a duration such as 90m or 2h30m, not {value!r}"
        raise ValueError(message)
    return sum(_SECONDS[unit] * amount for unit, amount in amounts.items())


def told(seconds: float) -> str:
    """Format a duration for the user: 45 s, 1:30:00."""
    if seconds < 60:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
