"""Which unit does the server count? Samples of the true one agree, those of the others vary with the requests between.

Samples are what was counted, in each unit, at successive refusals.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from ..ledger import ANSWERED, CEILING, REQUESTS, TOKENS

KEPT = 6
TIE = 1.5
"""A unit binds, too, if its samples vary no more than so many times as much as the best one's ..."""
TIE_FLOOR = 0.003
"""... and by this much."""
AGREEMENT = 0.012
GOOD = 0.03
MOST_MARGIN = 0.25


def first_limits(sample: Sequence[float], requests: float, spread: float) -> list[float]:
    """From one sample nobody can tell the unit: requests as counted, tokens with two standard errors of their mean.

    While a rate rises, what was answered lags behind what was sent: until a second sample it is given the same room.
    `spread` is the deviation of one request's tokens over their mean; `requests` how many the sample comes from.
    """
    margin = 1 + min(MOST_MARGIN, 2 * spread / math.sqrt(max(4.0, requests)))
    return [
        sample[0],
        sample[TOKENS] * margin,
        sample[CEILING] * margin,
        max(sample[ANSWERED], sample[TOKENS]) * margin,
    ]


def variation(values: Sequence[float]) -> float:
    """Coefficient of variation; infinite where there is nothing to vary."""
    mean = statistics.fmean(values)
    return statistics.pstdev(values, mean) / mean if mean > 0 else math.inf


def binding(samples: Sequence[Sequence[float]]) -> list[bool]:
    """For each unit, whether it may be the one that the server counts; at least one always is. Needs two samples or more.

    Where none agrees well only the best one is taken.
    """
    variations = [variation([sample[unit] for sample in samples]) for unit in range(4)]
    best = min(variations)
    bar = TIE * best + TIE_FLOOR if best < GOOD else best
    return [v <= bar for v in variations]


def agree(samples: Sequence[Sequence[float]], cost: Sequence[float]) -> bool:
    """Whether some unit explains all of them, up to the size of one request."""
    for unit in range(4):
        values = [sample[unit] for sample in samples]
        grain = max(cost[unit], cost[TOKENS] if unit == ANSWERED else 0.0) / max(1e-9, statistics.fmean(values))
        if variation(values) <= AGREEMENT + 0.5 * grain:
            return True
    return False


def window_limit(values: Sequence[float], unit: int, cost: float, retry_after_s: float) -> float:
    """A refusal at count v says v <= limit < v + cost, so several leave the stretch from the highest v to the lowest v + cost.

    Whole requests leave none: the middle one is taken. What is counted afterwards was already above the limit when it refused.
    Where a refusal costs a long pause (`told_s` of Retry-After) a little less is taken for each one.
    """
    if unit == ANSWERED:
        return max(0.5 * min(values), min(values) - 0.5 * cost)
    careful = 0.95 ** (len(values) - 1) if retry_after_s > 10 else 1.0
    if unit == REQUESTS and retry_after_s <= 10:
        return sorted(values)[(len(values) - 1) // 2]
    return min(max(values), min(values) + cost) * careful


def flow_limit(values: Sequence[float]) -> float:
    """Between the mean of a few stretches and the last one."""
    return 0.5 * (statistics.fmean(values) + values[-1])


def relaxed(values: Sequence[float]) -> float:
    """For a unit that does not bind: out of the way, the more so the more samples say so."""
    return max(values) * (1.05 + 0.1 * len(values))
