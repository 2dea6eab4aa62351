"""What a finished run holds, read without the program: pyarrow and JSON alone."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

EXCLUDED = frozenset({
    "run_id",  # names the run
    "deployment", "instance", "planned_instance", "moved_reason",  # who answered
    "attempts", "throttles", "request_id", "response_id",  # how often one had to ask
    "queued_at", "started_at", "completed_at",  # when, and how long it took
    "queue_s", "rate_wait_s", "retry_wait_s", "connect_s", "ttft_s", "generation_s", "parse_s", "write_s", "total_s", "working_s",
})  # fmt: skip
"""Columns that two undisturbed runs of one seed may differ in. All others must be equal."""
EXCLUDED_IN_BODY = frozenset({"id", "created"})
"""The same inside `raw_response`."""

Row = dict[str, Any]


def final_rows(run: Path) -> list[Row]:
    """Of all parts."""
    jsonl = run / "results" / "results.jsonl"
    if jsonl.exists():
        return [json.loads(line) for line in jsonl.read_bytes().splitlines()]
    parts = sorted(run.glob("results/part-*.parquet"))
    return [row for part in parts for row in pq.ParquetFile(part).read().to_pylist()]


def unresolved_rows(run: Path) -> list[Row]:
    jsonl, parquet = run / "results" / "unresolved.jsonl", run / "results" / "unresolved.parquet"
    if jsonl.exists():
        return [json.loads(line) for line in jsonl.read_bytes().splitlines()]
    return list(pq.ParquetFile(parquet).read().to_pylist()) if parquet.exists() else []


def content(rows: list[Row]) -> dict[str, Row]:
    """By sample: what must be the same however often a run was killed."""
    return {row["sample_id"]: _comparable(row) for row in rows}


def _comparable(row: Row) -> Row:
    kept = {name: value for name, value in row.items() if name not in EXCLUDED}
    if row["raw_response"]:
        kept["raw_response"] = {k: v for k, v in json.loads(row["raw_response"]).items() if k not in EXCLUDED_IN_BODY}
    if row["error_message"]:  # begins with who answered
        kept["error_message"] = row["error_message"].replace(row["instance"], "")
    return kept


@dataclass(frozen=True, slots=True)
class Balance:
    lost: int
    duplicated: int
    differing: int
    """Samples whose content is another than that of the undisturbed run, and samples that it does not have."""
    unresolved: int
    litter: int
    """Temporary files and journal segments that the completed run has left behind."""

    @property
    def is_even(self) -> bool:
        return not (self.lost or self.duplicated or self.differing or self.unresolved)


def balance(run: Path, wanted: dict[str, Row]) -> Balance:
    """What a completed run holds against what an undisturbed one held."""
    rows = final_rows(run)
    counts, found = Counter(row["sample_id"] for row in rows), content(rows)
    return Balance(
        lost=len(wanted.keys() - found.keys()),
        duplicated=sum(count - 1 for count in counts.values()),
        differing=sum(1 for sample_id, row in found.items() if wanted.get(sample_id) != row),
        unresolved=len(unresolved_rows(run)),
        litter=len([*run.rglob(".*.pending"), *run.glob("journal/[0-9]*.log")]),
    )
