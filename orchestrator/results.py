"""A run directory as frames: read it, group it, summarise it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from providers.messages import JSON
from runners.sinks.parquet import record_schema, record_table

from .directory import Manifest, RunDirectory

HIERARCHY = ("model", "prompt_type", "tool_success_rate", "difficulty", "task_type")
"""The order in which summaries go down."""

FINAL_FILES = ("part-*.parquet", "results.jsonl")
UNRESOLVED_FILES = ("unresolved.parquet", "unresolved.jsonl")
"""Replaced at the end of an execution only: until then they also hold samples that a resume has brought to their end."""

PIECE_LINES = 2_000

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
        return pa.concat_tables([record_schema().empty_table(), *self.tables()])

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The same piece by piece, a result part at a time; `columns` are all if None."""
        results, final = RunDirectory(self.path).results, list[pa.Array]()
        names = list(columns or record_schema().names)
        for table in _read_all(results, FINAL_FILES, names):
            final += table["ordinal"].chunks
            yield table.select(names)
        ordinals = pa.chunked_array(final, pa.int64()).combine_chunks()
        for table in _read_all(results, UNRESOLVED_FILES, names):
            yield table.filter(pc.invert(pc.is_in(table["ordinal"], value_set=ordinals))).select(names)

    def to_pandas(self) -> Any:
        """The same as a pandas DataFrame (needs the extra `analysis`)."""
        return self.to_arrow().to_pandas()

    def summary(self, by: Sequence[str] = HIERARCHY) -> list[SummaryRow]:
        """One row per group; see `summarise`."""
        return summarise(self.tables([*dict.fromkeys(by), *_SUMMARISED]), by)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"


def summarise(records: pa.Table | Iterable[pa.Table], by: Sequence[str] = HIERARCHY) -> list[SummaryRow]:
    """Counts, rates and means per group, sorted by the group. Of tables that come one by one, none is held.

    total = successful + partial + failed + infra_failures + not_run. Rates and the weighted score (mean of `score`, full 1,
    partial in between, failed 0) are over the clean denominator: successful + partial + failed.
    """
    sums, errors = list[pa.Table](), Counter[tuple[object, ...]]()
    for table in [records] if isinstance(records, pa.Table) else records:
        if table.num_rows:
            sums.append(_with_counts(table).group_by(list(by)).aggregate(_PARTIAL))
            errors.update(_errors(table, by))
    if not sums:
        return []
    whole = pa.concat_tables(sums)
    names = [name for name in whole.column_names if name not in by]
    groups = whole.group_by(list(by)).aggregate([(name, "sum") for name in names])
    groups = groups.rename_columns([*by, *names] if groups.column_names[0] in by else [*names, *by])
    rows = [_row(group, by, errors) for group in groups.to_pylist()]
    return sorted(rows, key=lambda row: tuple(str(row[name]) for name in by))


_COUNTS = ("successful", "partial", "failed", "infra_failures", "not_run")
_MEANS = ("score", "working_s", "turns", "tool_calls", "tool_coverage")
_SUMS = ("input_tokens", "output_tokens", "cost_usd")
_PARTIAL = [
    *((name, "sum") for name in (*_COUNTS, *_MEANS, *_SUMS)),
    *((name, "count") for name in (*_MEANS, "run_id")),
]
"""What of a piece adds up over pieces."""
_SUMMARISED = ("grade", "outcome", "error_class", "score_error", "run_id", *_MEANS, *_SUMS)


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


def _errors(records: pa.Table, by: Sequence[str]) -> dict[tuple[object, ...], int]:
    """Counts by group and, last in the key, error class: what failed, and what the scorer found wrong."""
    classes = pc.coalesce(records["error_class"], records["score_error"])
    table = records.select(list(dict.fromkeys(by))).append_column("error", classes)
    counts = table.filter(pc.is_valid(table["error"])).group_by([*by, "error"]).aggregate([([], "count_all")])
    return {tuple(row[name] for name in (*by, "error")): row["count_all"] for row in counts.to_pylist()}


def _row(group: Mapping[str, Any], by: Sequence[str], errors: Mapping[tuple[object, ...], int]) -> SummaryRow:
    counts = {name: group[f"{name}_sum"] for name in _COUNTS}
    scored = counts["successful"] + counts["partial"] + counts["failed"]
    key = tuple(group[name] for name in by)
    means = {name: group[f"{name}_sum"] / group[f"{name}_count"] if group[f"{name}_count"] else None for name in _MEANS}
    return {
        **{name: group[name] for name in by},
        "total": group["run_id_count"],
        **counts,
        "success_rate": counts["successful"] / scored if scored else None,
        "partial_rate": counts["partial"] / scored if scored else None,
        "failure_rate": counts["failed"] / scored if scored else None,
        "weighted_score": means["score"],
        "mean_time_s": means["working_s"],
        "mean_turns": means["turns"],
        "mean_tool_calls": means["tool_calls"],
        "tool_coverage": means["tool_coverage"],
        "input_tokens": group["input_tokens_sum"],
        "output_tokens": group["output_tokens_sum"],
        "cost_usd": group["cost_usd_sum"],
        "errors": {str(error): count for (*of, error), count in sorted(errors.items(), key=str) if tuple(of) == key},
    }


def _read_all(folder: Path, patterns: Sequence[str], names: Sequence[str]) -> Iterator[pa.Table]:
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            yield from _read(path, list(dict.fromkeys(["ordinal", *names])))


def _read(path: Path, names: list[str]) -> Iterator[pa.Table]:
    """The columns `names` at least."""
    if path.suffix == ".parquet":
        with pq.ParquetFile(path, memory_map=False) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, columns=names, use_threads=False)
        return
    with path.open("rb") as file:
        # a crash may have cut the last line off; a resume writes it anew
        whole = (line for line in file if line.endswith(b"\n"))
        while lines := list(islice(whole, PIECE_LINES)):
            yield record_table([orjson.loads(line) for line in lines])
