"""The summary of a run: counts, rates with their bounds, the weighted score and the tools, for any grouping.

The denominator of a rate is the number of scored samples: full, partial and failed. Infrastructure failures and samples that were not run
are in no rate. The worst and the best success rate show how much these samples could change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from providers.messages import JSON

from ..stats.intervals import ClusterMoments, Interval, estimate_from, wilson
from .clusters import ClusterSums
from .grouping import GROUP, Groups
from .named_scores import NamedScores
from .summary_table import Summary

HIERARCHY = ("model", "prompt_type", "tool_success_rate", "difficulty", "task_type")
"""The columns of a summary, from the outer to the inner group."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of the weighted score.

    The value of an answer is that of its error class, else that of its grade, else its score. The weight of a sample is the weight of its
    task type times that of its difficulty. A missing weight is 1.
    """

    grades: Mapping[str, float] = field(default_factory=dict)
    error_classes: Mapping[str, float] = field(default_factory=dict)
    task_types: Mapping[str, float] = field(default_factory=dict)
    difficulties: Mapping[str, float] = field(default_factory=dict)


EVEN = Weights()
PIECE_ROWS = 20_000


def summarise(
    records: pa.Table | Iterable[pa.Table], by: Sequence[str] = HIERARCHY, weights: Weights = EVEN
) -> Summary:
    """Return one row per group, sorted by the group. `by` names columns of the record. An iterable of tables is not kept in memory.

    total = successful + partial + failed + ungraded + infra_failures + not_run. The denominator of the rates is the sum of the first three.
    `cut_off` counts answers that max_tokens ended. `values` are the scorer's further scores by name: {mean, low, high, n}.
    `success_rate_worst` and `success_rate_best` are shares of the total without the ungraded;
    samples without a score count as failed, or as passed.
    `success_low` and `success_high` are the 95 % interval of the success rate, with tasks and families of tasks as clusters.
    """
    groups, clusters, named = Groups(by), ClusterSums(), NamedScores()
    sums, errors = list[pa.Table](), Counter[tuple[int, str]]()
    for table in _pieces([records] if isinstance(records, pa.Table) else records):
        counted = groups.with_numbers(_with_weights(_with_counts(table), weights))
        sums.append(counted.group_by(GROUP, use_threads=False).aggregate(_PARTIAL))
        clusters.add(counted, "is_full")
        named.add(counted)
        errors.update(_errors(counted))
    levels, moments, values = groups.levels(), clusters.moments(), named.by_group()
    rows = [
        {
            **levels[row[GROUP]],
            **_figures(row, _interval(moments.get(row[GROUP]))),
            "values": values.get(row[GROUP], {}),
            "errors": {error: count for (group, error), count in sorted(errors.items()) if group == row[GROUP]},
        }
        for row in _totals(sums)
    ]
    return Summary(sorted(rows, key=lambda row: tuple(_sort_key(str(row[name])) for name in by)), by)


RISING = ("very_easy", "easy", "medium", "hard", "very_hard")


def _sort_key(name: str) -> tuple[int, str]:
    """Sort names by the alphabet, but the usual difficulties from easy to hard."""
    return (RISING.index(name), "") if name in RISING else (len(RISING), name)


def _pieces(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Concatenate small tables: grouping has a fixed cost per table."""
    small_tables: list[pa.Table] = []
    for table in tables:
        small_tables.append(table)
        if sum(small_table.num_rows for small_table in small_tables) >= PIECE_ROWS:
            yield pa.concat_tables(small_tables)
            small_tables = []
    if any(small_table.num_rows for small_table in small_tables):
        yield pa.concat_tables(small_tables)


def _totals(sums: Sequence[pa.Table]) -> list[dict[str, Any]]:
    """Add the partial sums up to one row per group."""
    if not sums:
        return []
    whole = pa.concat_tables(sums)
    names = [name for name in whole.column_names if name != GROUP]
    groups = whole.group_by(GROUP, use_threads=False).aggregate([(name, "sum") for name in names])
    rows: list[dict[str, Any]] = groups.rename_columns([GROUP, *names]).to_pylist()
    return rows


_COUNTS = ("successful", "partial", "failed", "ungraded", "infra_failures", "not_run")
_AMOUNTS = ("input_tokens", "output_tokens", "cost_usd", "judge_input_tokens", "judge_output_tokens", "judge_cost_usd")
_TOOLS = ("tool_calls", "tool_failures", "tool_rejections", "tool_unreadable")
_MEANS = ("score", "working_s", "turns", "tool_coverage")
_PARTIAL = [
    *((name, "sum") for name in (*_COUNTS, "cut_off", *_AMOUNTS, *_TOOLS, *_MEANS, "weight", "weighted")),
    *((name, "count") for name in (*_MEANS, "run_id")),
]
"""The aggregations of one table that are summed over all tables."""
SUMMARISED = (
    "run_id", "outcome", "finish_reason", "grade", "error_class", "score_error", "task_type", "difficulty", "family", "task_id",
    "score_values", "cache_hit",
    *_AMOUNTS, *_TOOLS, *_MEANS,
)  # fmt: skip
"""The columns that a summary reads, besides the grouping columns."""


def _with_counts(records: pa.Table) -> pa.Table:
    grade, outcome = records["grade"], records["outcome"]
    flags = {
        "successful": pc.equal(grade, "full"),
        "partial": pc.equal(grade, "partial"),
        "failed": pc.equal(grade, "failed"),
        "ungraded": pc.equal(grade, "ungraded"),
        "infra_failures": pc.equal(outcome, "infra_failure"),
        "not_run": pc.equal(outcome, "not_run"),
        "cut_off": pc.and_(pc.equal(outcome, "ok"), pc.equal(records["finish_reason"], "length")),
    }
    for name, flag in flags.items():
        records = records.append_column(name, pc.cast(pc.fill_null(flag, False), pa.int64()))
    time_s = pc.if_else(
        records["cache_hit"], None, records["working_s"]
    )  # an answer from the cache took no time of a server
    records = records.set_column(records.column_names.index("working_s"), "working_s", time_s)
    is_graded = pc.and_(pc.is_valid(grade), pc.not_equal(grade, "ungraded"))
    return records.append_column("is_full", pc.if_else(pc.fill_null(is_graded, False), records["successful"], None))


def _with_weights(records: pa.Table, weights: Weights) -> pa.Table:
    """Append `weight`, 0 for samples without a score, and `weighted`, the value times the weight."""
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
    """Return the value of every name in `column`; null where `values` has none."""
    indices = pc.index_in(column, value_set=pa.array(list(values), pa.string()))
    return pa.array(list(values.values()), pa.float64()).take(indices.combine_chunks())


def _errors(records: pa.Table) -> dict[tuple[int, str], int]:
    """Count rows by group and error class: that of the failed request, else that of the scorer."""
    table = pa.table({GROUP: records[GROUP], "error": pc.coalesce(records["error_class"], records["score_error"])})
    grouped = table.filter(pc.is_valid(table["error"])).group_by([GROUP, "error"], use_threads=False)
    return {(row[GROUP], row["error"]): row["count_all"] for row in grouped.aggregate([([], "count_all")]).to_pylist()}


def _interval(moments: ClusterMoments | None) -> Interval | None:
    return estimate_from(moments, is_binary=True).interval if moments else None


def _figures(group: Mapping[str, Any], success: Interval | None) -> dict[str, JSON]:
    counts = {name: group[f"{name}_sum"] for name in _COUNTS}
    scored, total = counts["successful"] + counts["partial"] + counts["failed"], group["run_id_count"]
    gradable = total - counts["ungraded"]
    return {
        "total": total,
        **counts,
        "cut_off": group["cut_off_sum"],
        "success_rate": _share(counts["successful"], scored),
        "success_low": success.low if success else None,
        "success_high": success.high if success else None,
        "success_rate_worst": _share(counts["successful"], gradable),
        "success_rate_best": _share(counts["successful"] + gradable - scored, gradable),
        "partial_rate": _share(counts["partial"], scored),
        "failure_rate": _share(counts["failed"], scored),
        "missing_rate": (gradable - scored) / total,
        "mean_score": _mean(group, "score"),
        "weighted_score": _share(group["weighted_sum"], group["weight_sum"]),
        "mean_time_s": _mean(group, "working_s"),
        "mean_turns": _mean(group, "turns"),
        "mean_tool_calls": group["tool_calls_sum"] / total,
        "tool_calls": group["tool_calls_sum"],
        "tool_unreadable": group["tool_unreadable_sum"] or 0,
        "tool_coverage": _mean(group, "tool_coverage"),
        **_tools(group["tool_calls_sum"] - group["tool_rejections_sum"], group["tool_failures_sum"]),
        **{name: group[f"{name}_sum"] for name in _AMOUNTS},
    }


def _mean(group: Mapping[str, Any], name: str) -> float | None:
    return _share(group[f"{name}_sum"], group[f"{name}_count"]) if group[f"{name}_count"] else None


def _tools(calls: int, failures: int) -> dict[str, JSON]:
    """Return the share of successful tool calls with its interval. Rejected calls, which reached no tool, do not count."""
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
