"""The facts of a run's report as plain data: the JSON report contains them, and the pages are built from them.

Records are counted and averaged in Arrow. The result grows with the cells and instances of a run, not with its samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from providers.messages import JSON
from runners.journal.sinks.record_table import record_schema
from runners.samples.record import FINAL

from ...results.compare.contrast import Question, compare_levels
from ...results.compare.document import contrast_row, contrast_table
from ...results.run import Run
from ...results.run_directory.directory import RunDirectory
from ...results.summaries.summary import HIERARCHY
from ...ui.text_table import TextTable
from .cached import COLUMNS as CACHED
from .cached import CacheFacts, find_cached
from .decisions import Decisions, read_decisions
from .group_scores import GroupScore, find_group_scores
from .instances import InstanceFacts, find_instances
from .running_time import RunningTime, Throughput, find_running_time, measure_throughput
from .stage_times import RECORDED, ModelTime, StageTime, find_model_times, find_stage_times

COMPARED = ("model", "prompt_type", "tool_success_rate")
PLAIN_PROMPT = "baseline"
SHOWN_SAMPLES = 12
COLUMNS = [
    *(
        "ordinal",
        "task_id",
        "family",
        "epoch",
        *HIERARCHY,
        "instance",
        "planned_instance",
        "moved_reason",
        "outcome",
        "passed",
    ),
    *(
        "score",
        "error_class",
        "error_message",
        "score_error",
        "attempts",
        "output_tokens",
        "started_at",
        "completed_at",
    ),
    *("total_s", "working_s", *RECORDED, *CACHED),
]


@dataclass(frozen=True, slots=True)
class ComparisonFacts:
    """The comparison of the levels of one axis."""

    axis: str
    table: TextTable
    contrasts: tuple[Mapping[str, JSON], ...]


@dataclass(frozen=True, slots=True)
class FailureClass:
    """The samples that failed with one error class."""

    outcome: str
    error_class: str
    samples: int
    instances: tuple[str, ...]
    example: str
    """One error message; empty where the scorer judged the answer wrong."""


@dataclass(frozen=True, slots=True)
class SampleLine:
    """One sample in a list of slow or unanswered samples."""

    ordinal: int
    task_id: str
    model: str
    prompt_type: str
    instance: str | None
    outcome: str
    error_class: str | None
    error_message: str | None
    attempts: int
    total_s: float
    working_s: float


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a report shows about a run, except the samples."""

    run_id: str
    total: int
    """Samples of the plan."""
    recorded: int
    outcomes: Mapping[str, int]
    executions: tuple[Mapping[str, object], ...]
    configuration: Mapping[str, object]
    axes: tuple[str, ...]
    """The axes of the hierarchy that have more than one level."""
    standings: tuple[GroupScore, ...]
    """By model: the best first, or by name where obstacles prevent a ranking."""
    obstacles: tuple[str, ...]
    by_prompt: tuple[GroupScore, ...]
    cells: tuple[GroupScore, ...]
    comparisons: tuple[ComparisonFacts, ...]
    failures: tuple[FailureClass, ...]
    instances: tuple[InstanceFacts, ...]
    cached: tuple[CacheFacts, ...]
    running_time: RunningTime
    decisions: Decisions
    stage_times: tuple[StageTime, ...]
    model_times: tuple[ModelTime, ...]
    throughput: Throughput
    slowest: tuple[SampleLine, ...]
    unanswered: tuple[SampleLine, ...]
    """The first samples without an answer: model failures, infrastructure failures, and samples not run."""

    @property
    def final(self) -> int:
        """Number of samples with a final outcome."""
        return sum(count for outcome, count in self.outcomes.items() if outcome in FINAL)


def read_columns(run: Run) -> pa.Table:
    """Read every sample's record without its texts. Raises StorageError where a file is damaged."""
    return pa.concat_tables([record_schema().empty_table().select(COLUMNS), *run.tables(COLUMNS)])


def gather_facts(run: Run, records: pa.Table) -> Facts:
    """Gather the facts from the records of `run`; the columns COLUMNS are enough."""
    directory = RunDirectory(run.path)
    decisions = read_decisions(directory.decisions)
    time = find_running_time(records, [decision.at for decision in decisions.kept])
    axes = tuple(axis for axis in HIERARCHY if pc.count_distinct(records[axis]).as_py() > 1)
    standings = find_group_scores(run, ["model"])
    obstacles = tuple(map(str, run.obstacles("model")))
    return Facts(
        run_id=run.manifest.run_id,
        total=run.manifest.total,
        recorded=records.num_rows,
        outcomes={str(row["values"]): row["counts"] for row in pc.value_counts(records["outcome"]).to_pylist()},
        executions=tuple(directory.executions()),
        configuration=run.manifest.raw,
        axes=axes,
        standings=standings if obstacles else tuple(sorted(standings, key=_by_rate, reverse=True)),
        obstacles=obstacles,
        by_prompt=find_group_scores(run, ["model", "prompt_type"]) if "prompt_type" in axes else (),
        cells=find_group_scores(run, HIERARCHY),
        comparisons=tuple(_compare(records, axis) for axis in COMPARED if axis in axes),
        failures=_find_failures(records),
        instances=find_instances(records, decisions),
        cached=find_cached(records),
        running_time=time,
        decisions=decisions,
        stage_times=find_stage_times(records),
        model_times=find_model_times(records),
        throughput=measure_throughput(records, time),
        slowest=_slowest(records),
        unanswered=_unanswered(records),
    )


def _by_rate(standing: GroupScore) -> float:
    return -1.0 if standing.success_rate is None else standing.success_rate


def _compare(records: pa.Table, axis: str) -> ComparisonFacts:
    """Compare with the plain prompt, the highest tool success rate, or the first model by name."""
    levels = pc.unique(records[axis]).to_pylist()
    baseline = PLAIN_PROMPT if PLAIN_PROMPT in levels else None
    if axis == "tool_success_rate":
        baseline = str(pc.cast(pa.array([max(levels)]), pa.string())[0])
    contrasts = compare_levels(records, Question(axis, baseline))
    title = f"{axis.replace('_', ' ').capitalize()}, against {contrasts[0].baseline.name}"
    table = replace(contrast_table(axis, contrasts), title=title)
    return ComparisonFacts(axis, table, tuple(contrast_row(contrast) for contrast in contrasts))


def _find_failures(records: pa.Table) -> tuple[FailureClass, ...]:
    """Count samples by error class, including the scorer's; the most frequent first within an outcome."""
    table = records.select(["outcome", "instance", "error_message"]).append_column(
        "error", pc.coalesce(records["error_class"], records["score_error"])
    )
    grouped = table.filter(pc.is_valid(table["error"])).group_by(["outcome", "error"], use_threads=False)
    counted = grouped.aggregate([([], "count_all"), ("instance", "distinct"), ("error_message", "first")])
    ordered = counted.sort_by([("outcome", "ascending"), ("count_all", "descending"), ("error", "ascending")])
    return tuple(_failure(row) for row in ordered.to_pylist())


def _failure(row: Mapping[str, Any]) -> FailureClass:
    instances = tuple(sorted(name for name in row["instance_distinct"] if name is not None))
    return FailureClass(row["outcome"], row["error"], row["count_all"], instances, row["error_message_first"] or "")


def _slowest(records: pa.Table) -> tuple[SampleLine, ...]:
    sent = records.filter(pc.is_valid(records["started_at"]))
    by = [("working_s", "descending"), ("ordinal", "ascending")]
    return _lines(sent.take(pc.select_k_unstable(sent, k=min(SHOWN_SAMPLES, sent.num_rows), sort_keys=by)))


def _unanswered(records: pa.Table) -> tuple[SampleLine, ...]:
    failed = records.filter(pc.not_equal(records["outcome"], "ok"))
    by = [("outcome", "ascending"), ("ordinal", "ascending")]
    return _lines(failed.take(pc.select_k_unstable(failed, k=min(SHOWN_SAMPLES, failed.num_rows), sort_keys=by)))


def _lines(records: pa.Table) -> tuple[SampleLine, ...]:
    names: Sequence[str] = SampleLine.__slots__
    return tuple(SampleLine(**row) for row in records.select(list(names)).to_pylist())
