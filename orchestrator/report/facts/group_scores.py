"""The results of each group: the row of the summary, with the interval of its rate and the effect of missing samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from providers.messages import JSON

from ...results.run import Run


@dataclass(frozen=True, slots=True)
class GroupScore:
    """The results of one group of samples. The denominator of rates is full + partial + failed."""

    group: Mapping[str, JSON]
    total: int
    scored: int
    success_rate: float | None
    low: float | None
    """Of the 95 % interval, which is clustered: epochs and variations of one task are not independent."""
    high: float | None
    worst_case: float | None
    """The rate if all missing samples had failed."""
    best_case: float | None
    missing_rate: float
    weighted_score: float | None
    counts: Mapping[str, int]
    """successful, partial, failed, ungraded, infra_failures, not_run"""
    means: Mapping[str, float | None]
    """mean_time_s, mean_turns, mean_tool_calls, tool_coverage, tool_success"""
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    judge_tokens: int
    """Not part of the two token counts above, as its cost is not part of `cost_usd`."""
    judge_cost_usd: float | None
    errors: Mapping[str, int]

    @property
    def name(self) -> str:
        """The levels of the group, joined."""
        return " · ".join(shown(value) for value in self.group.values())


COUNTS = ("successful", "partial", "failed", "ungraded", "infra_failures", "not_run")
MEANS = ("mean_time_s", "mean_turns", "mean_tool_calls", "tool_coverage", "tool_success")


def find_group_scores(run: Run, by: Sequence[str]) -> tuple[GroupScore, ...]:
    """Build one score per group, in the order of the summary."""
    return tuple(_standing(row, by) for row in run.summary(by))


def shown(value: object) -> str:
    """Format a level of an axis."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _standing(row: Mapping[str, Any], by: Sequence[str]) -> GroupScore:
    return GroupScore(
        group={name: row[name] for name in by},
        total=row["total"],
        scored=row["successful"] + row["partial"] + row["failed"],
        success_rate=row["success_rate"],
        low=row["success_low"],
        high=row["success_high"],
        worst_case=row["success_rate_worst"],
        best_case=row["success_rate_best"],
        missing_rate=row["missing_rate"],
        weighted_score=row["weighted_score"],
        counts={name: row[name] for name in COUNTS},
        means={name: row[name] for name in MEANS},
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cost_usd=row["cost_usd"],
        judge_tokens=row["judge_input_tokens"] + row["judge_output_tokens"],
        judge_cost_usd=row["judge_cost_usd"],
        errors=row["errors"],
    )
