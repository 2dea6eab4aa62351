"""A run directory as frames: read it, group it, summarise it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from providers.errors import StorageError
from providers.messages import JSON
from runners.sinks.parquet import record_schema, record_table

from .directory import Manifest, RunDirectory

HIERARCHY = ("model", "prompt_type", "tool_success_rate", "difficulty", "task_type")
"""The order in which summaries go down."""

FINAL_FILES = ("part-*.parquet", "results.jsonl")
UNRESOLVED_FILES = ("unresolved.parquet", "unresolved.jsonl")
"""Replaced at the end of an execution only: until then they also hold samples that a resume has brought to their end."""

SummaryRow = Mapping[str, JSON]


class Run:
    """The results of one run; `path` is its directory."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Open a run directory. Raises InputError where it is none."""
        directory = RunDirectory(Path(path))
        return cls(directory.path, directory.read_manifest())

    def to_arrow(self) -> pa.Table:
        """Every sample's record, final or unresolved; the columns of Record."""
        results = RunDirectory(self.path).results
        final, unresolved = _read_all(results, FINAL_FILES), _read_all(results, UNRESOLVED_FILES)
        was_resolved = pc.is_in(unresolved["ordinal"], value_set=final["ordinal"].combine_chunks())
        return pa.concat_tables([final, unresolved.filter(pc.invert(was_resolved))])

    def to_pandas(self) -> Any:
        """The same as a pandas DataFrame (needs the extra `analysis`)."""
        return self.to_arrow().to_pandas()

    def summary(self, by: Sequence[str] = HIERARCHY) -> list[SummaryRow]:
        """One row per group; see `summarise`."""
        return summarise(self.to_arrow(), by)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"


def summarise(records: pa.Table, by: Sequence[str] = HIERARCHY) -> list[SummaryRow]:
    """Counts, rates and means per group, sorted by the group.

    total = successful + partial + failed + infra_failures + not_run. Rates and the weighted score (mean of `score`, full 1,
    partial in between, failed 0) are over the clean denominator: successful + partial + failed.
    """
    if not records.num_rows:
        return []
    counted = _with_counts(records)
    groups = counted.group_by(list(by)).aggregate([*((name, "sum") for name in _COUNTS), *_MEANS, ("run_id", "count")])
    errors = _errors(records, by)
    rows = [_row(group, by, errors) for group in groups.to_pylist()]
    return sorted(rows, key=lambda row: tuple(str(row[name]) for name in by))


_COUNTS = ("successful", "partial", "failed", "infra_failures", "not_run")
_MEANS = [
    ("score", "mean"),
    ("working_s", "mean"),
    ("turns", "mean"),
    ("tool_calls", "mean"),
    ("tool_coverage", "mean"),
    ("input_tokens", "sum"),
    ("output_tokens", "sum"),
    ("cost_usd", "sum"),
]


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
    scored = counts["successful"] + counts["partial"] + counts["failed"]
    key = tuple(group[name] for name in by)
    return {
        **{name: group[name] for name in by},
        "total": group["run_id_count"],
        **counts,
        "success_rate": counts["successful"] / scored if scored else None,
        "partial_rate": counts["partial"] / scored if scored else None,
        "failure_rate": counts["failed"] / scored if scored else None,
        "weighted_score": group["score_mean"],
        "mean_time_s": group["working_s_mean"],
        "mean_turns": group["turns_mean"],
        "mean_tool_calls": group["tool_calls_mean"],
        "tool_coverage": group["tool_coverage_mean"],
        "input_tokens": group["input_tokens_sum"],
        "output_tokens": group["output_tokens_sum"],
        "cost_usd": group["cost_usd_sum"],
        "errors": dict(sorted(errors.get(key, {}).items())),
    }


def _read_all(folder: Path, patterns: Sequence[str]) -> pa.Table:
    tables = [_read_whole(path) for pattern in patterns for path in sorted(folder.glob(pattern))]
    return pa.concat_tables([record_schema().empty_table(), *tables])


def _read_whole(path: Path) -> pa.Table:
    try:
        return _read(path)
    except (ValueError, TypeError, AttributeError, OSError) as error:  # Arrow's errors are among them
        raise StorageError(f"{path} is damaged ({error}); restore it from a copy") from error


def _read(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return pq.read_table(path, schema=record_schema())
    with path.open("rb") as file:
        # a crash may have cut the last line off; a resume writes it anew
        whole = (line for line in file if line.endswith(b"\n"))
        return record_table([orjson.loads(line) for line in whole])
