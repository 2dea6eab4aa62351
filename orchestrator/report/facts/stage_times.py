"""Where the time goes, per sample: from waiting in the queue to the disk. The stages are disjoint and in their order."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ...results.stats.percentiles import SAMPLE_FLOORS

INSIDE = ("connect_s", "ttft_s", "generation_s", "parse_s")
"""What `working_s` is made of; the rest of it are failed attempts, tools and grading."""
REST = "other_s"
STAGES = ("queue_s", "rate_wait_s", "retry_wait_s", *INSIDE, REST, "write_s")
RECORDED = tuple(stage for stage in STAGES if stage != REST)
TITLES = {
    "queue_s": "queue",
    "rate_wait_s": "rate wait",
    "retry_wait_s": "retry wait",
    "connect_s": "connect",
    "ttft_s": "first token",
    "generation_s": "generation",
    "parse_s": "parse",
    REST: "failed attempts, tools, grading",
    "write_s": "write",
}


@dataclass(frozen=True, slots=True)
class StageTime:
    """Seconds per sample. A percentile is None below its sample floor."""

    stage: str
    n: int
    mean_s: float | None
    share: float | None
    """Of the mean time from the queue to the disk."""
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    most_s: float | None


@dataclass(frozen=True, slots=True)
class ModelTime:
    model: str
    mean_s: tuple[float, ...]
    """Stage by stage, over all sent samples of the model."""


def find_stage_times(records: pa.Table) -> tuple[StageTime, ...]:
    """Only of samples that were sent."""
    sent = _with_rest(records)
    sums = {stage: pc.sum(sent[stage]).as_py() or 0.0 for stage in STAGES}
    whole = sum(sums.values())
    return tuple(_stage_time(stage, sent[stage], sums[stage] / whole if whole else None) for stage in STAGES)


def find_model_times(records: pa.Table) -> tuple[ModelTime, ...]:
    sent = _with_rest(records)
    grouped = sent.group_by("model").aggregate([*((stage, "sum") for stage in STAGES), ([], "count_all")])
    return tuple(
        ModelTime(row["model"], tuple((row[f"{stage}_sum"] or 0.0) / row["count_all"] for stage in STAGES))
        for row in grouped.sort_by("model").to_pylist()
    )


def _with_rest(records: pa.Table) -> pa.Table:
    sent = records.filter(pc.is_valid(records["started_at"])).select(["model", "working_s", *RECORDED])
    rest = sent["working_s"]
    for stage in INSIDE:
        rest = pc.subtract(rest, pc.fill_null(sent[stage], 0.0))
    return sent.append_column(REST, pc.max_element_wise(rest, 0.0))


def _stage_time(stage: str, values: pa.ChunkedArray, share: float | None) -> StageTime:
    known = values.drop_null()
    if not len(known):
        return StageTime(stage, 0, None, None, None, None, None, None)
    found = pc.quantile(known, [0.5, 0.95, 0.99], interpolation="linear").to_pylist()
    p95_s, p99_s = (
        value if len(known) >= SAMPLE_FLOORS[q] else None for q, value in zip((95, 99), found[1:], strict=True)
    )
    mean_s, most_s = pc.mean(known).as_py(), pc.max(known).as_py()
    return StageTime(stage, len(known), mean_s, share, found[0], p95_s, p99_s, most_s)
