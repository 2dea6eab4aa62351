"""How sure a rate or a mean score is: Wilson's interval, and standard errors that respect clusters.

Epochs of one task, and tasks that are variations of one another, are not independent. They form clusters; everything here works
from the clusters' sums and sizes, so that a million rows need two numbers for each of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Estimate:
    value: float
    interval: Interval
    n: int
    clusters: int
    standard_error: float


def wilson(successes: float, n: float, *, z: float | None = None) -> Interval:
    """Wilson's score interval for a rate (E. B. Wilson, JASA 22, 1927). `n` may be an effective sample size; of nothing, all of [0, 1]."""
    if n <= 0:
        return Interval(0.0, 1.0)
    z = z_of(CONFIDENCE) if z is None else z
    rate, spread = successes / n, z * z / n
    middle = (rate + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(rate * (1 - rate) / n + spread / (4 * n))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def estimate_mean(sums: Sequence[float], sizes: Sequence[int], *, is_binary: bool) -> Estimate:
    """The mean of scores in [0, 1], from each cluster's sum and size.

    The standard error is clustered (K.-Y. Liang and S. L. Zeger, Biometrika 73, 1986; for evaluations E. Miller,
    arXiv:2411.00640, 2024), with G / (G - 1) for few clusters. Of binary scores the interval is Wilson's on the effective sample
    size (N. Franco et al., J. Survey Statistics and Methodology 7, 2019), else Student's with G - 1 degrees of freedom.
    Raises ValueError without clusters.
    """
    n, groups = sum(sizes), len(sums)
    if not n:
        raise ValueError("an estimate needs one score at least")
    mean = sum(sums) / n
    error = _clustered_error(sums, sizes, mean)
    if is_binary:
        return Estimate(mean, _effective_wilson(mean, n, groups, error), n, groups, error)
    half = t_of(CONFIDENCE, groups - 1) * error if groups > 1 else 1.0
    return Estimate(mean, Interval(max(0.0, mean - half), min(1.0, mean + half)), n, groups, error)


def _clustered_error(sums: Sequence[float], sizes: Sequence[int], mean: float) -> float:
    groups, n = len(sums), sum(sizes)
    if groups < 2:
        return math.nan
    squares = math.fsum((total - size * mean) ** 2 for total, size in zip(sums, sizes, strict=True))
    return math.sqrt(groups / (groups - 1) * squares) / n


def _effective_wilson(mean: float, n: int, groups: int, error: float) -> Interval:
    """Without clusters Wilson's own; all right or all wrong, the clusters are what was seen; else n over the design effect."""
    if groups == n:
        return wilson(mean * n, n)
    if groups < 2:
        return Interval(0.0, 1.0)
    shrunk = (z_of(CONFIDENCE) / t_of(CONFIDENCE, groups - 1)) ** 2
    spread = mean * (1 - mean)
    effective = (groups if spread <= 0 or error <= 0 else min(n, spread / error**2)) * shrunk
    return wilson(mean * effective, effective)


def z_of(confidence: float) -> float:
    """The two-sided normal quantile: 1.96 at 0.95."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def t_of(confidence: float, freedom: int) -> float:
    """Student's two-sided quantile; beyond 200 degrees of freedom the normal's, which differs by less than 0.7 %."""
    if freedom > 200:
        return z_of(confidence)
    from scipy.stats import t

    return float(t.ppf((1 + confidence) / 2, max(1, freedom)))
