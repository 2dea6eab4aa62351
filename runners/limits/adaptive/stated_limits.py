"""Use of the limit that a refusal states. It is compared with the counts of the ledger: a unit that agrees is the one the server counts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..stated import StatedQuota
from .ledger import ANSWERED, CEILING, REQUESTS, TOKENS

AGREES = 0.15
"""Largest relative difference of the stated limit and the count: tokens are estimated until the answer arrives."""
OUT_OF_THE_WAY = 4.0
"""Factor on the requests that a token limit allowed: requests then do not limit, but set the rate that the concurrency cap follows."""


def agreeing_unit(stated: StatedQuota, samples: Sequence[Sequence[float]]) -> int | None:
    """Return the unit in which the count at each refusal equals the stated limit, if there is one."""
    limit = stated.limit
    if not limit or not samples:
        return None
    off = {unit: max(abs(counts[unit] - limit) / limit for counts in samples) for unit in _units(stated)}
    nearest = min(off, key=lambda unit: off[unit])
    return nearest if off[nearest] <= AGREES else None


def is_far_below(stated: StatedQuota, counts: Sequence[float]) -> bool:
    """Return whether the refusal came far below the stated limit: other clients use it too, or it is not the limit."""
    return stated.limit is not None and all(counts[unit] < (1 - AGREES) * stated.limit for unit in _units(stated))


def careful_unit(stated: StatedQuota) -> int:
    """Return the unit to use if the server's is unknown: the one with the highest counts."""
    return REQUESTS if stated.unit == "requests" else CEILING


def limits_in(unit: int, limit: float, counts: Sequence[float]) -> list[float]:
    """Build limits of which only `unit` binds; `counts` convert it to requests."""
    limits = [math.inf] * len(counts)
    limits[REQUESTS] = OUT_OF_THE_WAY * max(1.0, counts[REQUESTS]) * limit / max(1.0, counts[unit])
    limits[unit] = limit
    return limits


def _units(stated: StatedQuota) -> tuple[int, ...]:
    if stated.unit == "requests":
        return (REQUESTS,)
    return (TOKENS, CEILING, ANSWERED) if stated.unit == "tokens" else (REQUESTS, TOKENS, CEILING, ANSWERED)
