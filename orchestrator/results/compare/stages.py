"""Compare stages with a competitor: the effect of each change, the remaining gap, and the closed share of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from providers.errors import InputError

MEASURED = ("outcome", "started_at", "completed_at", "working_s", "output_tokens")
"""The columns that a run's figures are computed from."""


@dataclass(frozen=True, slots=True)
class StageFigures:
    """One run of any tool, in the four figures that all tools report."""

    name: str
    success_rate: float
    """Answers with a normal finish over all attempted samples."""
    mean_response_s: float
    tokens_per_s: float
    """Output tokens over wall time."""
    total_s: float


@dataclass(frozen=True, slots=True)
class Figure:
    """A measure of a stage: its value, and its gap to a competitor."""

    title: str
    value: Callable[[StageFigures], float]
    gap: Callable[[float, float], float]
    """Computed from a stage's value and the competitor's; 0 means equal, below 0 means better."""
    unit: str


def _behind_in_points(ours: float, theirs: float) -> float:
    return theirs - ours


def _slower(ours: float, theirs: float) -> float:
    return ours / theirs - 1 if theirs else float("nan")


def _lower(ours: float, theirs: float) -> float:
    return theirs / ours - 1 if ours else float("nan")


FIGURES = (
    Figure("success rate", lambda stage: stage.success_rate, _behind_in_points, "points"),
    Figure("mean response", lambda stage: stage.mean_response_s, _slower, "%"),
    Figure("throughput", lambda stage: stage.tokens_per_s, _lower, "%"),
    Figure("total time", lambda stage: stage.total_s, _slower, "%"),
)


@dataclass(frozen=True, slots=True)
class GapRow:
    """One figure: the gap of every stage, and the share of the first stage's gap that the last stage closed."""

    figure: Figure
    gaps: tuple[float, ...]
    closed: float | None
    """None where the first stage was not behind."""


def gaps_to(competitor: StageFigures, stages: Sequence[StageFigures]) -> list[GapRow]:
    """Compute every figure's gap to `competitor` by stage. Raises InputError without a stage."""
    if not stages:
        raise InputError("compare: a competitor needs at least one run to compare with")
    return [_gap_row(figure, competitor, stages) for figure in FIGURES]


def _gap_row(figure: Figure, competitor: StageFigures, stages: Sequence[StageFigures]) -> GapRow:
    theirs = figure.value(competitor)
    gaps = tuple(figure.gap(figure.value(stage), theirs) for stage in stages)
    return GapRow(figure, gaps, 1 - gaps[-1] / gaps[0] if gaps[0] > 0 else None)


def changes(stages: Sequence[StageFigures]) -> dict[str, float]:
    """Compute the changes from the first stage to the last: the success rate in points, the others as a share."""
    first, last = stages[0], stages[-1]
    differences = {"success rate": last.success_rate - first.success_rate}
    for figure in FIGURES[1:]:
        differences[figure.title] = _slower(figure.value(last), figure.value(first))
    return differences


def figures_of(name: str, records: pa.Table) -> StageFigures:
    """Compute a run's figures from its records. Raises InputError where no sample was sent."""
    sent = records.filter(pc.is_valid(records["started_at"]))
    if not sent.num_rows:
        raise InputError(f"compare: {name} contains no sample that was sent")
    answered = sent.filter(pc.equal(sent["outcome"], "ok"))
    total_s = _span_s(sent)
    tokens = pc.sum(answered["output_tokens"]).as_py() or 0
    return StageFigures(
        name=name,
        success_rate=(pc.sum(pc.equal(records["outcome"], "ok")).as_py() or 0) / records.num_rows,
        mean_response_s=pc.mean(answered["working_s"]).as_py() or 0.0,
        tokens_per_s=tokens / total_s if total_s else 0.0,
        total_s=total_s,
    )


def _span_s(sent: pa.Table) -> float:
    first, last = pc.min(sent["started_at"]).as_py(), pc.max(sent["completed_at"]).as_py()
    return float((last - first).total_seconds())


def as_row(stage: StageFigures) -> Mapping[str, str | float]:
    """Build a row for JSON."""
    return {
        "name": stage.name,
        "success_rate": stage.success_rate,
        "mean_response_s": stage.mean_response_s,
        "tokens_per_s": stage.tokens_per_s,
        "total_s": stage.total_s,
    }
