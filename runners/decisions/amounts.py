"""Amounts of a decision in words: limits, waits and the time under each gate."""

from __future__ import annotations

from collections.abc import Mapping

from providers.messages import JSON

WAITS = {
    "ledger": "for room in the window",
    "pacer": "for the pace between two requests",
    "gate": "after refusals",
    "cap": "for a request in flight to end",
    "quota": "for quota that the headers said was used up",
    "idle": "for nothing: no request was ready",
}
"""What a request waits for at each gate."""
UNKNOWN_UNIT = ("requests", "tokens")
"""The units whose limits are listed while it is not known which of them the server counts."""
SHORTEST_S = 1.0
"""Shorter waits are not listed."""


def number(value: JSON) -> str:
    """Write a number with a comma per thousand and at most two decimals. Raises TypeError where it is none."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no number")
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def counted(value: JSON, name: str) -> str:
    """Write a number of things in the singular or plural."""
    return f"{number(value)} {name}" if value == 1 else f"{number(value)} {name}s"


def seconds(value: JSON) -> str:
    """Write a time in seconds, with as many digits as matter."""
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return f"{value:,.0f} s" if value >= 10 else f"{value:.2g} s"


def limits(values: JSON, counted_in: JSON = None) -> str:
    """Write the known limits of a rate: "40 requests in 10 s", in the units that the server may count."""
    if not isinstance(values, Mapping):
        raise TypeError(f"{values!r} are no limits")
    window = values.get("window_s")
    span = f"in {number(window)} s" if window else "per second"
    units = str(counted_in).split(" or ") if counted_in else UNKNOWN_UNIT
    known = [f"{_limit(values[unit])} {unit}" for unit in units if values.get(unit) is not None]
    return f"{' or '.join(known)} {span}" if known else "no limit of the rate is known"


def _limit(value: JSON) -> str:
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return f"{value:,.0f}" if value >= 100 else number(value)


def waits(times: JSON) -> str:
    """Write how long requests waited for what, the longest first; empty if no wait was long."""
    if not isinstance(times, Mapping):
        raise TypeError(f"{times!r} are no times")
    known = [(value, gate) for gate, value in times.items() if isinstance(value, int | float) and value >= SHORTEST_S]
    parts = [f"{seconds(value)} {WAITS.get(gate, gate)}" for value, gate in sorted(known, reverse=True)]
    return f" Requests waited {', '.join(parts)}." if parts else ""
