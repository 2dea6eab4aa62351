"""Percentiles by linear interpolation, each with the number of samples below which it means nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SAMPLE_FLOORS: Mapping[int, int] = {90: 64, 95: 130, 99: 662}
"""Fewest samples with which a percentile means anything (MLPerf inference rules, early stopping at a confidence of 0.99)."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Seconds. A percentile is None below its sample floor."""

    n: int
    mean: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    most: float | None


def distribution(values: Sequence[float]) -> Distribution:
    """Compute mean, percentiles and maximum; a percentile is None if there are too few values for it."""
    if not values:
        return Distribution(0, None, None, None, None, None, None)
    ordered = sorted(values)
    p90, p95, p99 = (percentile(ordered, q) if len(ordered) >= floor else None for q, floor in SAMPLE_FLOORS.items())
    mean = math.fsum(ordered) / len(ordered)
    return Distribution(len(ordered), mean, percentile(ordered, 50), p90, p95, p99, ordered[-1])


def percentile(ordered: Sequence[float], q: float) -> float:
    """Interpolate linearly between the closest ranks of sorted values."""
    position = (len(ordered) - 1) * q / 100
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)
