"""Compare two models, prompt types or runs on the same tasks: which is better, and how certain is that?

Every level of an axis is compared with a baseline, over the samples that both have scored: same task, same epoch, same levels on every
other axis. Infrastructure failures have no score and form no pairs. Where they affect one level more than the other, the levels are not
ranked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from providers.errors import InputError

from ..stats.intervals import Estimate, estimate_from
from ..stats.paired import PairedDifference, Pairs, compare_pairs, holm
from ..stats.power import detectable_mean_effect, minimum_detectable_effect
from ..summaries.clusters import CLUSTER, cluster_of, moments_of
from ..summaries.grouping import GROUP, numbered

RUN = "run"
"""The axis that is not a column of a record."""
AXES = ("model", "prompt_type", "tool_success_rate", RUN)
SIGNIFICANT = 0.05
MISSING_GAP = 0.02
"""Levels whose shares of samples without a score differ by more than this are not ranked."""

Measure = Literal["success", "score"]
COLUMN: Mapping[Measure, str] = {"success": "passed", "score": "score"}

Verdict = Literal["better", "worse", "no evidence", "not comparable"]


@dataclass(frozen=True, slots=True)
class AxisLevel:
    """One level of the axis: its samples, and the estimate from the scored ones."""

    name: str
    total: int
    missing: int
    """Samples without a score: infrastructure failures, not run."""
    estimate: Estimate | None

    @property
    def missing_share(self) -> float:
        """Share of the samples without a score."""
        return self.missing / self.total if self.total else 1.0

    @property
    def bounds(self) -> tuple[float, float]:
        """The mean if all missing samples had scored 0, and if they had scored 1."""
        gained = self.estimate.value * self.estimate.n if self.estimate else 0.0
        return (gained / self.total, (gained + self.missing) / self.total) if self.total else (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Contrast:
    """A `level` compared with the `baseline`, within one stratum."""

    stratum: Mapping[str, str]
    measure: Measure
    baseline: AxisLevel
    level: AxisLevel
    paired: PairedDifference | None
    detectable: float
    """The smallest difference that this number of pairs shows with a power of 0.8; nan where no difference can be shown."""
    adjusted_p: float
    """Holm's correction over all contrasts of the comparison."""
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Question:
    """The comparison: the levels of `axis`, each against `baseline` (by default the first by name), within every group of `by`."""

    axis: str = "model"
    baseline: str | None = None
    by: tuple[str, ...] = ()
    measure: Measure = "success"


def compare_levels(records: pa.Table, question: Question) -> list[Contrast]:
    """Compare every level with the baseline, in every stratum. Raises InputError where there is nothing to compare."""
    levels = _levels(records, question.axis)
    baseline = _baseline(levels, question)
    prepared = _prepared(records, question)
    contrasts = [
        _contrast(stratum, part, baseline, name, question)
        for stratum, part in _strata(prepared, question.by)
        for name in levels
        if name != baseline
    ]
    tested = [contrast for contrast in contrasts if contrast.paired is not None]
    adjusted = iter(holm([contrast.paired.p_value for contrast in tested if contrast.paired]))
    return [_judged(contrast, next(adjusted) if contrast.paired is not None else math.nan) for contrast in contrasts]


def _levels(records: pa.Table, axis: str) -> list[str]:
    if axis not in AXES or axis not in records.column_names:
        raise InputError(f"compare: no axis {axis!r}; known: {', '.join(AXES)}")
    levels = sorted(str(value) for value in pc.unique(records[axis]).to_pylist())
    if len(levels) < 2:
        held = f"only {levels[0]!r}" if levels else "no record"
        raise InputError(
            f"compare: there is {held} on the axis {axis}; name runs with two levels at least, or another axis"
        )
    return levels


def _baseline(levels: Sequence[str], question: Question) -> str:
    if question.baseline is None:
        return levels[0]
    if question.baseline not in levels:
        raise InputError(f"compare: no {question.axis} {question.baseline!r}; there are {', '.join(levels)}")
    return question.baseline


def _prepared(records: pa.Table, question: Question) -> pa.Table:
    """Build the table of a comparison: the axis as text, the numbers of pair and cluster, and the value."""
    for name in question.by:
        if name not in records.column_names:
            raise InputError(
                f"compare: no column {name!r} to compare within; records have {', '.join(records.column_names)}"
            )
    keys = [axis for axis in AXES if axis != question.axis and axis in records.column_names]
    columns = {
        "level": pc.cast(records[question.axis], pa.string()),
        CLUSTER: numbered([cluster_of(records)]),
        "value": pc.cast(records[COLUMN[question.measure]], pa.float64()),
        "key": numbered([records[name] for name in (*keys, "task_id", "epoch")]),
        **{f"by:{name}": pc.cast(records[name], pa.string()) for name in question.by},
    }
    return pa.table(columns)


def _strata(prepared: pa.Table, by: Sequence[str]) -> list[tuple[dict[str, str], pa.Table]]:
    if not by:
        return [({}, prepared)]
    names = [f"by:{name}" for name in by]
    groups = prepared.group_by(names).aggregate([]).sort_by([(name, "ascending") for name in names]).to_pylist()
    return [(dict(zip(by, group.values(), strict=True)), _where(prepared, group)) for group in groups]


def _where(table: pa.Table, values: Mapping[str, str]) -> pa.Table:
    for name, value in values.items():
        table = table.filter(pc.equal(table[name], value))
    return table


def _contrast(stratum: Mapping[str, str], part: pa.Table, baseline: str, name: str, question: Question) -> Contrast:
    first, second = (_where(part, {"level": level_name}) for level_name in (baseline, name))
    base, level = _level(baseline, first), _level(name, second)
    paired = _paired(first, second)
    detectable = _detectable(paired) if paired else math.nan
    return Contrast(stratum, question.measure, base, level, paired, detectable, math.nan, "no evidence", "")


def _level(name: str, part: pa.Table) -> AxisLevel:
    scored = part.filter(pc.is_valid(part["value"]))
    estimate = None
    if scored.num_rows:
        sums = scored.group_by(["level", CLUSTER]).aggregate([("value", "sum"), ("value", "count")])
        is_binary = not pc.any(pc.and_(pc.greater(scored["value"], 0), pc.less(scored["value"], 1))).as_py()
        (moments,) = moments_of(sums.rename_columns([GROUP, CLUSTER, "s", "k"])).values()
        estimate = estimate_from(moments, is_binary=is_binary)
    return AxisLevel(name, part.num_rows, part.num_rows - scored.num_rows, estimate)


def _paired(first: pa.Table, second: pa.Table) -> PairedDifference | None:
    import numpy as np

    left, right = (part.filter(pc.is_valid(part["value"])) for part in (first, second))
    _keys, left_indices, right_indices = np.intersect1d(left["key"], right["key"], return_indices=True)
    if not len(left_indices):
        return None
    left, right = left.take(left_indices), right.take(right_indices)
    return compare_pairs(Pairs(left["value"].to_numpy(), right["value"].to_numpy(), left[CLUSTER].to_numpy()))


def _detectable(paired: PairedDifference) -> float:
    if paired.method.startswith("McNemar"):
        return minimum_detectable_effect(paired.n, (paired.wins + paired.losses) / paired.n)
    return detectable_mean_effect(paired.standard_error)


def _judged(contrast: Contrast, adjusted_p: float) -> Contrast:
    """Set the verdict, with the reason where the levels are not comparable."""
    base, level, paired = contrast.baseline, contrast.level, contrast.paired
    verdict: Verdict = "no evidence"
    reason = ""
    if abs(base.missing_share - level.missing_share) > MISSING_GAP:
        verdict = "not comparable"
        reason = f"without a score: {base.missing_share:.1%} of {base.name}, {level.missing_share:.1%} of {level.name}"
    elif paired is None:
        verdict, reason = "not comparable", "no sample has a score in both"
    elif adjusted_p < SIGNIFICANT:
        verdict = "better" if paired.difference > 0 else "worse"
    return replace(contrast, adjusted_p=adjusted_p, verdict=verdict, reason=reason)
