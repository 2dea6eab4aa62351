"""Whether groups of one run may be ranked at all: what is missing must not decide who is better.

Samples that the infrastructure failed are no random draw: long answers time out first. So a group with 8 % missing is not set beside one
with 0.1 %, by the same measure as in a comparison of levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from ..summary_table import SummaryRow
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
    """Every pair of rows of a summary by one column whose missing shares differ by more than MISSING_GAP; a resume may remove them."""
    return [
        Obstacle(str(a[by]), str(b[by]), f"missingness {100 * _missing(a):.1f} % vs {100 * _missing(b):.1f} %")
        for a, b in combinations(rows, 2)
        if abs(_missing(a) - _missing(b)) > MISSING_GAP
    ]


def _missing(row: SummaryRow) -> float:
    rate = row["missing_rate"]
    return float(rate) if isinstance(rate, float | int) else 1.0
