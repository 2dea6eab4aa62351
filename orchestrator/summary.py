"""The summary of a run: counts, rates with their bounds, the weighted score and the tools, for any grouping.

Rates are over the clean denominator: what the models answered or failed. What the infrastructure failed, and what was not run, is in no
rate; the worst and the best case say what it could change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from providers.messages import JSON

from .stats.intervals import wilson

HIERARCHY = ("model", "prompt_type", "tool_success_rate", "difficulty", "task_type")
"""The order in which summaries go down."""

SummaryRow = Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Weights:
    """What counts how much. Value of an answer: that of its error class, else of its grade, else its score; weight of a sample: its task
    type's times its difficulty's. What is not named counts 1 (weights) or what it scored (values)."""

    grades: Mapping[str, float] = field(default_factory=dict)
    error_classes: Mapping[str, float] = field(default_factory=dict)
    task_types: Mapping[str, float] = field(default_factory=dict)
    difficulties: Mapping[str, float] = field(default_factory=dict)


EVEN = Weights()


def summarise(records: pa.Table, by: Sequence[str] = HIERARCHY, weights: Weights = EVEN) -> list[SummaryRow]:
    """One row per group, sorted by the group. `by` names columns of the record.

    total = successful + partial + failed + infra_failures + not_run; the rates are of the first three, `success_rate_worst` and
    `success_rate_best` of the total, with everything that has no score as failed, or as passed.
    """
    if not records.num_rows:
        return []
    counted = _with_weights(_with_counts(records), weights)
    groups = counted.group_by(list(by)).aggregate([*((name, "sum") for name in _SUMS), *_MEANS, ("run_id", "count")])
    errors = _errors(records, by)
    rows = [_row(group, by, errors) for group in groups.to_pylist()]
    return sorted(rows, key=lambda row: tuple(str(row[name]) for name in by))


_COUNTS = ("successful", "partial", "failed", "infra_failures", "not_run")
_AMOUNTS = ("input_tokens", "output_tokens", "cost_usd", "judge_input_tokens", "judge_output_tokens", "judge_cost_usd")
_SUMS = (*_COUNTS, *_AMOUNTS, "weight", "weighted", "tool_calls", "tool_failures")
_MEANS = [(name, "mean") for name in ("score", "working_s", "turns", "tool_calls", "tool_coverage")]


def _with_counts(records: pa.Table) -> pa.Table:
    grade, outcome = records["grade"], records["outcome"]
    flags = {
        "successful": pc.equal(grade, "full"),
        "partial": pc.equal(grade, "partial"),
        "failed": pc.equal(grade, "failed"),
        "infra_failures": pc.equal(outcome, "infra_failure"),
        "not_run": pc.equal(outcome, "not_run"),
    }
    for name, flag in flags.items():
        records = records.append_column(name, pc.cast(pc.fill_null(flag, False), pa.int64()))
    return records


def _with_weights(records: pa.Table, weights: Weights) -> pa.Table:
    """`weight` of every sample that has a score, and its value times that."""
    by_class = _looked_up(records["score_error"], weights.error_classes)
    value = pc.coalesce(by_class, _looked_up(records["grade"], weights.grades), records["score"])
    weight = pc.multiply(
        pc.fill_null(_looked_up(records["task_type"], weights.task_types), 1.0),
        pc.fill_null(_looked_up(records["difficulty"], weights.difficulties), 1.0),
    )
    weight = pc.if_else(pc.is_valid(records["score"]), weight, 0.0)
    records = records.append_column("weight", weight)
    return records.append_column("weighted", pc.fill_null(pc.multiply(value, weight), 0.0))


def _looked_up(column: pa.ChunkedArray, values: Mapping[str, float]) -> pa.Array:
    """The value of every name; null where it has none."""
    places = pc.index_in(column, value_set=pa.array(list(values), pa.string()))
    return pa.array(list(values.values()), pa.float64()).take(places.combine_chunks())


def _errors(records: pa.Table, by: Sequence[str]) -> dict[tuple[object, ...], dict[str, int]]:
    """Error classes with their counts, by group: what failed, and what the scorer found wrong."""
    classes = pc.coalesce(records["error_class"], records["score_error"])
    table = records.select(list(dict.fromkeys(by))).append_column("error", classes)
    counts = table.filter(pc.is_valid(table["error"])).group_by([*by, "error"]).aggregate([([], "count_all")])
    found: dict[tuple[object, ...], dict[str, int]] = {}
    for row in counts.to_pylist():
        found.setdefault(tuple(row[name] for name in by), {})[row["error"]] = row["count_all"]
    return found


def _row(
    group: Mapping[str, Any], by: Sequence[str], errors: Mapping[tuple[object, ...], Mapping[str, int]]
) -> SummaryRow:
    counts = {name: group[f"{name}_sum"] for name in _COUNTS}
    scored, total = counts["successful"] + counts["partial"] + counts["failed"], group["run_id_count"]
    key = tuple(group[name] for name in by)
    return {
        **{name: group[name] for name in by},
        "total": total,
        **counts,
        "success_rate": _share(counts["successful"], scored),
        "success_rate_worst": counts["successful"] / total,
        "success_rate_best": (counts["successful"] + total - scored) / total,
        "partial_rate": _share(counts["partial"], scored),
        "failure_rate": _share(counts["failed"], scored),
        "missing_rate": (total - scored) / total,
        "mean_score": group["score_mean"],
        "weighted_score": _share(group["weighted_sum"], group["weight_sum"]),
        "mean_time_s": group["working_s_mean"],
        "mean_turns": group["turns_mean"],
        "mean_tool_calls": group["tool_calls_mean"],
        "tool_coverage": group["tool_coverage_mean"],
        **_tools(group["tool_calls_sum"], group["tool_failures_sum"]),
        **{name: group[f"{name}_sum"] for name in _AMOUNTS},
        "errors": dict(sorted(errors.get(key, {}).items())),
    }


def _tools(calls: int, failures: int) -> dict[str, JSON]:
    """The share of tool calls that went well, with its interval: what was realised of the rate that was set."""
    if not calls:
        return {"tool_success": None, "tool_success_low": None, "tool_success_high": None}
    interval = wilson(calls - failures, calls)
    return {
        "tool_success": (calls - failures) / calls,
        "tool_success_low": interval.low,
        "tool_success_high": interval.high,
    }


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
