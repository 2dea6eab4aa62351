"""Fisher's exact test, one-sided, for two groups of hits and misses."""

from __future__ import annotations

import math


def fisher_more(hits: int, of: int, other_hits: int, other_of: int) -> float:
    """Compute the probability of at least `hits` among `of` if both groups had the same rate (R. A. Fisher, 1935)."""
    total, all_hits = of + other_of, hits + other_hits
    if not total:
        return 1.0
    ways = math.comb(total, all_hits)
    return sum(math.comb(of, k) * math.comb(other_of, all_hits - k) for k in range(hits, min(of, all_hits) + 1)) / ways
