"""What a run has spent so far, from its directory alone: the totals noted by executions, and the records completed since."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from runners.calls.budget import NOTHING, Spending
from runners.journal.frames import JournalRow, rows

from ...results.run_directory.directory import RunDirectory

TOKENS = ("input_tokens", "output_tokens", "judge_input_tokens", "judge_output_tokens")
COSTS = ("cost_usd", "judge_cost_usd")


def spent_so_far(directory: RunDirectory) -> Spending:
    """Sum what all executions spent. Call it after the journal is replayed: every record is then in a part or unresolved."""
    noted = [execution for execution in directory.executions() if "spent_tokens" in execution]
    total, since = NOTHING, datetime.min.replace(tzinfo=UTC)
    if noted:
        total = Spending(
            max(execution["spent_tokens"] for execution in noted), max(execution["spent_usd"] for execution in noted)
        )
        since = datetime.fromtimestamp(noted[-1]["ended_at"], UTC)
    for part in directory.results.glob("part-*.parquet"):
        total += _of_part(part, since)
    for row in _lines(directory):
        if datetime.fromisoformat(row["completed_at"]) > since:
            total += _of_row(row)
    return total


def _of_row(row: JournalRow) -> Spending:
    """Sum the columns that count."""
    tokens = row["input_tokens"] + row["output_tokens"] + row["judge_input_tokens"] + row["judge_output_tokens"]
    return Spending(tokens, (row["cost_usd"] or 0.0) + (row["judge_cost_usd"] or 0.0))


def _of_part(part: Path, since: datetime) -> Spending:
    """Sum the columns that count in small batches, so that memory does not grow with the part."""
    total = NOTHING
    for batch in pq.ParquetFile(part).iter_batches(columns=["completed_at", *TOKENS, *COSTS]):
        table = pa.table(batch)
        fresh = table.filter(
            pc.greater(table["completed_at"], pa.scalar(since, table.schema.field("completed_at").type))
        )
        total += Spending(
            sum(pc.sum(fresh[name]).as_py() or 0 for name in TOKENS),
            sum(pc.sum(fresh[name]).as_py() or 0.0 for name in COSTS),
        )
    return total


def _lines(directory: RunDirectory) -> Iterator[JournalRow]:
    results, unresolved = directory.results / "results.jsonl", directory.journal / "unresolved.log"
    if results.exists():
        with results.open("rb") as file:
            yield from map(orjson.loads, (line for line in file if line.endswith(b"\n")))
    if unresolved.exists():
        yield from rows(unresolved)
