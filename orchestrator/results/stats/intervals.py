"""Intervals of rates and mean scores: Wilson's interval, and clustered standard errors.

Epochs of one task, and tasks that are variations of one another, are not independent. They form clusters. Everything here is computed from
the clusters' sums and sizes, so that a million rows need two numbers per cluster and six in total.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

CONFIDENCE = 0.95
ROUNDING = 1e-12
"""Relative to a sum of squares: the rounding error of subtracting equal terms."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed interval."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Check whether the interval contains the value."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimated mean with its interval."""

    value: float
    interval: Interval
    n: int
    clusters: int
    standard_error: float


def wilson(successes: float, n: float, *, z: float | None = None) -> Interval:
    """Compute Wilson's score interval for a rate (E. B. Wilson, JASA 22, 1927).

    `n` may be an effective sample size. For n = 0 the interval is [0, 1].
    """
    if n <= 0:
        return Interval(0.0, 1.0)
    z = z_of(CONFIDENCE) if z is None else z
    rate, spread = successes / n, z * z / n
    middle = (rate + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(rate * (1 - rate) / n + spread / (4 * n))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


@dataclass(frozen=True, slots=True)
class ClusterMoments:
    """The moments of the clusters that an estimate needs; s is a cluster's sum of scores and k its size."""

    groups: int
    n: int
    total: float
    squares: float
    """Sum of s squared."""
    products: float
    """Sum of s times k."""
    sizes: float
    """Sum of k squared."""


def estimate_from(moments: ClusterMoments, *, is_binary: bool) -> Estimate:
    """Estimate the mean of scores in [0, 1]. Raises ValueError without scores.

    The standard error is clustered (K.-Y. Liang and S. L. Zeger, Biometrika 73, 1986; for evaluations E. Miller, arXiv:2411.00640, 2024),
    with the factor G / (G - 1) for few clusters. For binary scores the interval is Wilson's on the effective sample size (N. Franco et al.,
    J. Survey Statistics and Methodology 7, 2019), else Student's with G - 1 degrees of freedom.
    """
    n, groups = moments.n, moments.groups
    if not n:
        raise ValueError("an estimate needs one score at least")
    mean = moments.total / n
    error = _clustered_error(moments, mean)
    if is_binary:
        return Estimate(mean, _effective_wilson(mean, n, groups, error), n, groups, error)
    half = t_of(CONFIDENCE, groups - 1) * error if groups > 1 else 1.0
    return Estimate(mean, Interval(max(0.0, mean - half), min(1.0, mean + half)), n, groups, error)


def _clustered_error(moments: ClusterMoments, mean: float) -> float:
    """Compute the standard error from the sum of (s - k mean) squared; a remainder within rounding error counts as 0."""
    groups, n = moments.groups, moments.n
    if groups < 2:
        return math.nan
    squares = moments.squares - 2 * mean * moments.products + mean * mean * moments.sizes
    if squares <= ROUNDING * moments.squares:
        return 0.0
    return math.sqrt(groups / (groups - 1) * squares) / n


def _effective_wilson(mean: float, n: int, groups: int, error: float) -> Interval:
    """Compute Wilson's interval on the effective sample size.

    It is n without clusters, the number of clusters if all scores are equal, else n over the design effect.
    """
    if groups == n:
        return wilson(mean * n, n)
    if groups < 2:
        return Interval(0.0, 1.0)
    shrunk = (z_of(CONFIDENCE) / t_of(CONFIDENCE, groups - 1)) ** 2
    spread = mean * (1 - mean)
    effective = (groups if spread <= 0 or error <= 0 else min(n, spread / error**2)) * shrunk
    return wilson(mean * effective, effective)


def z_of(confidence: float) -> float:
    """Return the two-sided normal quantile: 1.96 at 0.95."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


@cache
def t_of(confidence: float, freedom: int) -> float:
    """Return Student's two-sided quantile; above 200 degrees of freedom the normal quantile, which differs by less than 0.7 %."""
    if freedom > 200:
        return z_of(confidence)
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_within(middle, freedom) < confidence else (low, middle)
    return math.sqrt(max(1, freedom)) * math.tan(high)


def _t_within(angle: float, freedom: int) -> float:
    """Return the probability of |t| <= sqrt(freedom) tan(angle) (M. Abramowitz, I. A. Stegun, 26.7.3 and 26.7.4)."""
    is_odd = freedom % 2 == 1 or freedom < 1
    cosine, sine = math.cos(angle), math.sin(angle)
    term, total = (cosine, 0.0) if is_odd else (1.0, 0.0)
    for k in range(2 if is_odd else 1, freedom, 2):
        total += term
        term *= cosine * cosine * k / (k + 1)
    return 2 / math.pi * (angle + sine * total) if is_odd else sine * total
