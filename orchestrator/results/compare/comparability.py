"""Whether the groups of a run may be ranked: missing samples must not decide which group is better.

Infrastructure failures are not random: long answers time out first. Therefore a group with 8 % missing is not ranked against one with 0.1
%. The criterion is the same as in a comparison of levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from ..summaries.summary_table import SummaryRow
from .contrast import MISSING_GAP


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Two groups that must not be ranked, and why."""

    first: str
    second: str
    reason: str

    def __str__(self) -> str:
        return f"{self.first} and {self.second} are not comparable: {self.reason}"


def find_obstacles(rows: Sequence[SummaryRow], by: str = "model") -> list[Obstacle]:
    """List the pairs of rows of a summary whose missing shares differ by more than MISSING_GAP. A resume may remove them."""
    return [
        Obstacle(str(a[by]), str(b[by]), f"missingness {100 * _missing(a):.1f} % vs {100 * _missing(b):.1f} %")
        for a, b in combinations(rows, 2)
        if abs(_missing(a) - _missing(b)) > MISSING_GAP
    ]


def _missing(row: SummaryRow) -> float:
    rate = row["missing_rate"]
    return float(rate) if isinstance(rate, float | int) else 1.0
