"""The summary of a run: counts, rates with their bounds, the weighted score and the tools, for any grouping.

Rates are over the clean denominator: what the models answered or failed. What the infrastructure failed, and what was not run, is in no
rate; the worst and the best case say what it could change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from providers.messages import JSON

from .stats.intervals import wilson

HIERARCHY = ("model", "prompt_type", "tool_success_rate", "difficulty", "task_type")
"""The order in which summaries go down."""

HELD = 32
"""Sums of pieces that are held before they are added up."""

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


def summarise(
    records: pa.Table | Iterable[pa.Table], by: Sequence[str] = HIERARCHY, weights: Weights = EVEN
) -> list[SummaryRow]:
    """One row per group, sorted by the group. `by` names columns of the record. Of tables that come one by one, none is held.

    total = successful + partial + failed + infra_failures + not_run; the rates are of the first three, `success_rate_worst` and
    `success_rate_best` of the total, with everything that has no score as failed, or as passed.
    """
    sums, errors = list[pa.Table](), Counter[tuple[object, ...]]()
    for table in [records] if isinstance(records, pa.Table) else records:
        if table.num_rows:
            counted = _with_weights(_with_counts(table), weights)
            sums.append(counted.group_by(list(by)).aggregate(_PARTIAL))
            errors.update(_errors(table, by))
        if len(sums) >= HELD:
            sums = [_added_up(sums, by)]
    rows = [_row(group, by, errors) for group in (_added_up(sums, by).to_pylist() if sums else ())]
    return sorted(rows, key=lambda row: tuple(_place(str(row[name])) for name in by))


RISING = ("very_easy", "easy", "medium", "hard", "very_hard")


def _place(name: str) -> tuple[int, str]:
    """Names by the alphabet, but difficulties that everybody knows as they rise."""
    return (RISING.index(name), "") if name in RISING else (len(RISING), name)


def _added_up(sums: Sequence[pa.Table], by: Sequence[str]) -> pa.Table:
    whole = pa.concat_tables(sums)
    names = [name for name in whole.column_names if name not in by]
    groups = whole.group_by(list(by)).aggregate([(name, "sum") for name in names])
    shorter = {f"{name}_sum": name for name in names}
    return groups.rename_columns([shorter.get(name, name) for name in groups.column_names])


_COUNTS = ("successful", "partial", "failed", "infra_failures", "not_run")
_AMOUNTS = ("input_tokens", "output_tokens", "cost_usd", "judge_input_tokens", "judge_output_tokens", "judge_cost_usd")
_TOOLS = ("tool_calls", "tool_failures", "tool_rejections")
_MEANS = ("score", "working_s", "turns", "tool_coverage")
_PARTIAL = [
    *((name, "sum") for name in (*_COUNTS, *_AMOUNTS, *_TOOLS, *_MEANS, "weight", "weighted")),
    *((name, "count") for name in (*_MEANS, "run_id")),
]
"""What of a piece adds up over pieces."""
SUMMARISED = (
    "run_id", "outcome", "grade", "error_class", "score_error", "task_type", "difficulty", *_AMOUNTS, *_TOOLS, *_MEANS,
)  # fmt: skip
"""The columns that a summary reads, besides those that it groups by."""


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


def _errors(records: pa.Table, by: Sequence[str]) -> dict[tuple[object, ...], int]:
    """Counts by group and, last in the key, error class: what failed, and what the scorer found wrong."""
    classes = pc.coalesce(records["error_class"], records["score_error"])
    table = records.select(list(dict.fromkeys(by))).append_column("error", classes)
    counts = table.filter(pc.is_valid(table["error"])).group_by([*by, "error"]).aggregate([([], "count_all")])
    return {tuple(row[name] for name in (*by, "error")): row["count_all"] for row in counts.to_pylist()}


def _row(group: Mapping[str, Any], by: Sequence[str], errors: Mapping[tuple[object, ...], int]) -> SummaryRow:
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
        "mean_score": _mean(group, "score"),
        "weighted_score": _share(group["weighted_sum"], group["weight_sum"]),
        "mean_time_s": _mean(group, "working_s"),
        "mean_turns": _mean(group, "turns"),
        "mean_tool_calls": group["tool_calls_sum"] / total,
        "tool_coverage": _mean(group, "tool_coverage"),
        **_tools(group["tool_calls_sum"] - group["tool_rejections_sum"], group["tool_failures_sum"]),
        **{name: group[f"{name}_sum"] for name in _AMOUNTS},
        "errors": {str(error): count for (*of, error), count in sorted(errors.items(), key=str) if tuple(of) == key},
    }


def _mean(group: Mapping[str, Any], name: str) -> float | None:
    return _share(group[f"{name}_sum"], group[f"{name}_count"]) if group[f"{name}_count"] else None


def _tools(calls: int, failures: int) -> dict[str, JSON]:
    """The share of calls that reached a tool and went well, with its interval: what was realised of the rate that was set."""
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
