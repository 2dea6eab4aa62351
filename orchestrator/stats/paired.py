"""Is the difference real? Two models or prompts on the same tasks, compared pair by pair.

The unit is the cluster: a task with all its epochs, or a family of tasks. Of binary scores without clusters the test is
McNemar's; everywhere else it is the test of the mean of clustered differences. The interval is the paired bootstrap's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .intervals import CONFIDENCE, Interval

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RESAMPLES = 4_000
BATCH_CELLS = 4_000_000
"""Bootstrap weights held at once: 32 MB."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Scores of the same samples, first against second, with the cluster of each pair."""

    first: Sequence[float]
    second: Sequence[float]
    clusters: Sequence[str]


@dataclass(frozen=True, slots=True)
class PairedDifference:
    n: int
    clusters: int
    difference: float
    """Mean of second less first."""
    interval: Interval
    p_value: float
    method: str
    wins: int
    """Pairs where the second is better."""
    losses: int
    standard_error: float


def compare_pairs(pairs: Pairs, *, seed: int = 0, resamples: int = RESAMPLES) -> PairedDifference:
    """Test second against first. Raises ValueError without pairs."""
    import numpy as np

    first, second = np.asarray(pairs.first, dtype=float), np.asarray(pairs.second, dtype=float)
    if not first.size:
        raise ValueError("a comparison needs one pair at least")
    differences = second - first
    _names, codes = np.unique(np.asarray(pairs.clusters), return_inverse=True)
    sums, sizes = np.bincount(codes, weights=differences).astype(np.float64), np.bincount(codes).astype(np.int64)
    mean = float(differences.mean())
    error = _standard_error(sums, sizes, mean)
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    is_binary = bool(np.isin(first, (0.0, 1.0)).all() and np.isin(second, (0.0, 1.0)).all())
    if is_binary and len(sums) == first.size:
        method, p_value = "McNemar mid-p", mcnemar_midp(wins, losses)
    else:
        method, p_value = "clustered t", _t_test(mean, error, len(sums))
    interval = bootstrap_interval(sums, sizes, seed=seed, resamples=resamples)
    return PairedDifference(first.size, len(sums), mean, interval, p_value, method, wins, losses, error)


def mcnemar_midp(wins: int, losses: int) -> float:
    """Two-sided mid-p of McNemar's test (H. O. Lancaster, JASA 56, 1961; M. W. Fagerland et al., BMC Med. Res. Methodol. 13, 2013)."""
    from scipy.stats import binom

    discordant = wins + losses
    if not discordant:
        return 1.0
    fewer = min(wins, losses)
    exact = 2 * float(binom.cdf(fewer, discordant, 0.5))
    return min(1.0, exact - float(binom.pmf(fewer, discordant, 0.5)))


def bootstrap_interval(
    sums: npt.NDArray[np.float64], sizes: npt.NDArray[np.int64], *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Percentile interval of the mean over resampled clusters (B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap, 1993)."""
    import numpy as np

    random, groups = np.random.default_rng(seed), len(sums)
    batch = max(1, BATCH_CELLS // groups)
    means: list[npt.NDArray[np.float64]] = []
    for done in range(0, resamples, batch):
        weights = random.multinomial(groups, np.full(groups, 1 / groups), size=min(batch, resamples - done))
        means.append((weights @ sums) / (weights @ sizes))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return Interval(float(low), float(high))


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for testing all of them at once, in their order (S. Holm, Scand. J. Statist. 6, 1979)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def _standard_error(sums: npt.NDArray[np.float64], sizes: npt.NDArray[np.int64], mean: float) -> float:
    groups = len(sums)
    if groups < 2:
        return math.nan
    squares = float(((sums - sizes * mean) ** 2).sum())
    return math.sqrt(groups / (groups - 1) * squares) / float(sizes.sum())


def _t_test(mean: float, error: float, groups: int) -> float:
    from scipy.stats import t

    if not error > 0:
        return 1.0 if mean == 0 or math.isnan(error) else 0.0
    return 2 * float(t.sf(abs(mean) / error, groups - 1))
