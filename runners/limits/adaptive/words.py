"""The limit that a refusal states, checked against the ledger: it names the unit where both agree; else it is asked for once."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..stated import StatedQuota
from .ledger import ANSWERED, CEILING, REQUESTS, TOKENS

AGREES = 0.15
"""Between what is stated and what was counted: tokens are estimated until the answer is there."""
OUT_OF_THE_WAY = 4.0
"""Times what a limit in tokens allowed: requests do not limit, but give the rate that concurrency follows."""


def agreeing_unit(stated: StatedQuota, samples: Sequence[Sequence[float]]) -> int | None:
    """The unit in which the counts at the refusals are the stated limit each time."""
    limit = stated.limit
    if not limit or not samples:
        return None
    off = {unit: max(abs(counts[unit] - limit) / limit for counts in samples) for unit in _units(stated)}
    nearest = min(off, key=lambda unit: off[unit])
    return nearest if off[nearest] <= AGREES else None


def is_far_below(stated: StatedQuota, counts: Sequence[float]) -> bool:
    """Refused long before the stated limit: somebody else had used it up, or it is not the limit."""
    return stated.limit is not None and all(counts[unit] < (1 - AGREES) * stated.limit for unit in _units(stated))


def careful_unit(stated: StatedQuota) -> int:
    """The one that counts most where nobody knows which one the server means."""
    return REQUESTS if stated.unit == "requests" else CEILING


def limits_in(unit: int, limit: float, counts: Sequence[float]) -> list[float]:
    """One unit limits; `counts` say how many requests that is."""
    limits = [math.inf] * len(counts)
    limits[REQUESTS] = OUT_OF_THE_WAY * max(1.0, counts[REQUESTS]) * limit / max(1.0, counts[unit])
    limits[unit] = limit
    return limits


def _units(stated: StatedQuota) -> tuple[int, ...]:
    if stated.unit == "requests":
        return (REQUESTS,)
    return (TOKENS, CEILING, ANSWERED) if stated.unit == "tokens" else (REQUESTS, TOKENS, CEILING, ANSWERED)
