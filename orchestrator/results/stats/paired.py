"""Paired comparison of two models or prompts on the same tasks: is the difference real?

The unit is the cluster: a task with all its epochs, or a family of tasks. For binary scores without clusters the test is McNemar's,
otherwise a t test of the mean of clustered differences. The interval is the paired bootstrap's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .intervals import CONFIDENCE, Interval, z_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RESAMPLES = 4_000
BATCH_CELLS = 4_000_000
"""Bootstrap weights in memory at once: 32 MB."""
MOST_KINDS = 5_000
"""Kinds of clusters that are resampled. There are more only with graded scores and many clusters."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Scores of the same samples, first and second, with the cluster of each pair."""

    first: Sequence[float] | npt.NDArray[np.float64]
    second: Sequence[float] | npt.NDArray[np.float64]
    clusters: Sequence[str] | npt.NDArray[np.int64]
    """Names, or numbers that represent them."""


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """The result of a paired test."""

    n: int
    clusters: int
    difference: float
    """Mean of second minus first."""
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
    """Compute the two-sided mid-p of McNemar's test.

    Sources: H. O. Lancaster, JASA 56, 1961; M. W. Fagerland et al., BMC Med. Res. Methodol. 13, 2013.
    """
    from scipy.special import bdtr

    discordant, fewer = wins + losses, min(wins, losses)
    if not discordant:
        return 1.0
    # twice the tail minus its last term equals the tail with that term plus the tail without it
    return min(1.0, float(bdtr(fewer, discordant, 0.5)) + (float(bdtr(fewer - 1, discordant, 0.5)) if fewer else 0.0))


def bootstrap_interval(
    sums: npt.NDArray[np.float64], sizes: npt.NDArray[np.int64], *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Compute the percentile interval of the mean over resampled clusters.

    Source: B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap, 1993. Clusters with the same sum and size form one kind. The
    number of draws of each kind is multinomial, which gives the same distribution at the cost of the kinds. With more than MOST_KINDS kinds
    the interval is normal.
    """
    import numpy as np

    random, groups = np.random.default_rng(seed), len(sums)
    kinds, counts = np.unique(sums + 1j * sizes, return_counts=True)
    if len(kinds) > MOST_KINDS:
        mean = float(sums.sum() / sizes.sum())
        half = z_of(CONFIDENCE) * _standard_error(sums, sizes, mean)
        return Interval(mean - half, mean + half)
    batch = max(1, BATCH_CELLS // len(kinds))
    means: list[npt.NDArray[np.float64]] = []
    for done in range(0, resamples, batch):
        drawn = random.multinomial(groups, counts / groups, size=min(batch, resamples - done))
        means.append((drawn @ kinds.real) / (drawn @ kinds.imag))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return Interval(float(low), float(high))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for multiple tests, in their order (S. Holm, Scand. J. Statist. 6, 1979)."""
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
    from scipy.special import stdtr

    if not error > 0:
        return 1.0 if mean == 0 or math.isnan(error) else 0.0
    return 2 * float(stdtr(groups - 1, -abs(mean) / error))
