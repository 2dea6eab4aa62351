"""Whether two rates may be compared at all: what is missing must not decide who is better.

Samples that the infrastructure failed are no random draw: long answers time out first. So a group with 8 % missing is not set beside one
with 0.1 %, unless even the worst case of the one is better than the best case of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from .summary import SummaryRow

MISSING_DIFFERENCE = 0.01
"""Shares of missing samples that differ by more than one percentage point are materially different."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Two groups that must not be ranked, and why."""

    first: str
    second: str
    reason: str

    def __str__(self) -> str:
        return f"{self.first} and {self.second} are not comparable: {self.reason}"


def find_obstacles(rows: Sequence[SummaryRow], by: str = "model") -> list[Obstacle]:
    """Every pair of rows of a summary by one column that must not be ranked; resume the run to remove them."""
    pairs = combinations(rows, 2)
    return [
        Obstacle(str(a[by]), str(b[by]), f"missingness {_percent(a)} vs {_percent(b)}")
        for a, b in pairs
        if abs(_rate(a, "missing_rate") - _rate(b, "missing_rate")) > MISSING_DIFFERENCE and _overlap(a, b)
    ]


def _overlap(a: SummaryRow, b: SummaryRow) -> bool:
    low = max(_rate(a, "success_rate_worst"), _rate(b, "success_rate_worst"))
    return low <= min(_rate(a, "success_rate_best"), _rate(b, "success_rate_best"))


def _percent(row: SummaryRow) -> str:
    return f"{100 * _rate(row, 'missing_rate'):.1f} %"


def _rate(row: SummaryRow, name: str) -> float:
    value = row[name]
    assert isinstance(value, float | int)
    return float(value)
