"""Read the records of a finished run without the program: with pyarrow and JSON only."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

EXCLUDED = frozenset({
    "run_id",  # names the run
    "deployment", "instance", "planned_instance", "moved_reason",  # which instance answered
    "attempts", "throttles", "request_id", "response_id",  # how often requests were sent
    "queued_at", "started_at", "completed_at",  # when, and how long it took
    "queue_s", "rate_wait_s", "retry_wait_s", "connect_s", "ttft_s", "generation_s", "parse_s", "write_s", "total_s", "working_s",
})  # fmt: skip
"""Columns that may differ between two undisturbed runs of one seed. All others must be equal."""
EXCLUDED_IN_BODY = frozenset({"id", "created"})
"""The same for fields of `raw_response`."""

Row = dict[str, Any]


def final_rows(run: Path) -> list[Row]:
    """Read the final records of all parts."""
    jsonl = run / "results" / "results.jsonl"
    if jsonl.exists():
        return [json.loads(line) for line in jsonl.read_bytes().splitlines()]
    parts = sorted(run.glob("results/part-*.parquet"))
    return [row for part in parts for row in pq.ParquetFile(part).read().to_pylist()]


def unresolved_rows(run: Path) -> list[Row]:
    """Read the unresolved records."""
    jsonl, parquet = run / "results" / "unresolved.jsonl", run / "results" / "unresolved.parquet"
    if jsonl.exists():
        return [json.loads(line) for line in jsonl.read_bytes().splitlines()]
    return list(pq.ParquetFile(parquet).read().to_pylist()) if parquet.exists() else []


def content(rows: list[Row]) -> dict[str, Row]:
    """Return by sample the content that must be the same however often a run was killed."""
    return {row["sample_id"]: _comparable(row) for row in rows}


def _comparable(row: Row) -> Row:
    kept = {name: value for name, value in row.items() if name not in EXCLUDED}
    if row["raw_response"]:
        kept["raw_response"] = {k: v for k, v in json.loads(row["raw_response"]).items() if k not in EXCLUDED_IN_BODY}
    if row["error_message"]:  # begins with the instance's name
        kept["error_message"] = row["error_message"].replace(row["instance"], "")
    return kept


@dataclass(frozen=True, slots=True)
class Balance:
    """The differences between a completed run and an undisturbed one."""

    lost: int
    duplicated: int
    differing: int
    """Samples whose content differs from that of the undisturbed run, and samples that it does not have."""
    unresolved: int
    litter: int
    """Temporary files and journal segments that the completed run left behind."""

    @property
    def is_even(self) -> bool:
        """Whether no sample is lost, duplicated, different or unresolved."""
        return not (self.lost or self.duplicated or self.differing or self.unresolved)


def balance(run: Path, wanted: dict[str, Row]) -> Balance:
    """Compare the records of a completed run with those of an undisturbed one."""
    rows = final_rows(run)
    counts, stored = Counter(row["sample_id"] for row in rows), content(rows)
    return Balance(
        lost=len(wanted.keys() - stored.keys()),
        duplicated=sum(count - 1 for count in counts.values()),
        differing=sum(1 for sample_id, row in stored.items() if wanted.get(sample_id) != row),
        unresolved=len(unresolved_rows(run)),
        litter=len([*run.rglob(".*.pending"), *run.glob("journal/[0-9]*.log")]),
    )
