"""Inference of the unit that the server counts: its samples agree, those of the other units vary with the requests between.

A sample holds the counts of all units at a refusal.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from ..ledger import ANSWERED, CEILING, NOTHING, REQUESTS, TOKENS, Amounts

KEPT = 6
TIE = 1.5
"""A unit may bind, too, if its variation is at most this multiple of the lowest one plus TIE_FLOOR."""
TIE_FLOOR = 0.003
AGREEMENT = 0.012
GOOD = 0.03
MOST_MARGIN = 0.25
FEW = 16.0
"""Fewer requests than this vary by a whole one for other reasons than the limit, and their tokens vary much."""


def first_limits(sample: Sequence[float], requests: float, spread: float, cost: Amounts = NOTHING) -> list[float]:
    """Build the limits from a single sample, which does not show the unit: requests as counted, tokens plus two standard errors.

    While the rate rises, answers lag behind sends: until the second sample the answered tokens get the limit of the sent ones.
    `spread` is the coefficient of variation of a request's tokens; `requests` is the number of requests in the sample. To
    the tokens of few requests half of the `cost` of the refused one is added: the limit lies between their count and the sum of both.
    """
    most = MOST_MARGIN if requests >= FEW else 1.0
    margin = 1 + min(most, 2 * spread / math.sqrt(max(1.0, requests)))
    part = 0.5 if requests < FEW else 0.0
    return [
        sample[0],
        sample[TOKENS] * margin + part * cost[TOKENS],
        sample[CEILING] * margin + part * cost[CEILING],
        max(sample[ANSWERED], sample[TOKENS]) * margin + part * cost[TOKENS],
    ]


def variation(values: Sequence[float]) -> float:
    """Return the coefficient of variation; infinite if the mean is zero."""
    mean = statistics.fmean(values)
    return statistics.pstdev(values, mean) / mean if mean > 0 else math.inf


def binding(samples: Sequence[Sequence[float]]) -> list[bool]:
    """Return for each unit whether the server may count it; this holds for at least one. Needs two samples or more.

    If no unit agrees well, only the best one is returned.
    """
    variations = [variation([sample[unit] for sample in samples]) for unit in range(4)]
    requests = statistics.fmean(sample[REQUESTS] for sample in samples)
    if 0 < requests < FEW:
        variations[REQUESTS] = max(0.0, variations[REQUESTS] - 0.5 / requests)
    best = min(variations)
    bar = TIE * best + TIE_FLOOR if best < GOOD else best
    return [v <= bar for v in variations]


def agree(samples: Sequence[Sequence[float]], cost: Sequence[float]) -> bool:
    """Return whether the samples of some unit are equal up to the size of one request."""
    for unit in range(4):
        values = [sample[unit] for sample in samples]
        grain = max(cost[unit], cost[TOKENS] if unit == ANSWERED else 0.0) / max(1e-9, statistics.fmean(values))
        if variation(values) <= AGREEMENT + 0.5 * grain:
            return True
    return False


def window_limit(values: Sequence[float], unit: int, cost: float, retry_after_s: float) -> float:
    """Return the limit of a window from the counts at its refusals.

    A refusal at count v means v <= limit < v + cost, so several leave the interval from the highest v to the lowest v + cost. For
    requests it is empty: the median is taken. Tokens that count when answered were already above the limit at the refusal. Where a
    refusal costs a long wait (`retry_after_s`), the limit is lowered by 5 % with each sample.
    """
    if unit == ANSWERED:
        return max(0.5 * min(values), min(values) - 0.5 * cost)
    careful = 0.95 ** (len(values) - 1) if retry_after_s > 10 else 1.0
    if unit == REQUESTS and retry_after_s <= 10:
        return sorted(values)[(len(values) - 1) // 2]
    return min(max(values), min(values) + cost) * careful


def flow_limit(values: Sequence[float]) -> float:
    """Return the limit of a flow: halfway between the mean of the samples and the last one."""
    return 0.5 * (statistics.fmean(values) + values[-1])


def relaxed(values: Sequence[float], requests: float, spread: float) -> float:
    """Return a limit too high to bind, for a unit that does not; it grows with the number of samples, and the less requests they have."""
    few = 1 + 3 * spread / math.sqrt(requests) if 0 < requests < FEW else 1.0
    return max(values) * max(few, 1.05 + 0.1 * len(values))
