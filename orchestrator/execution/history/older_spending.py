"""What a run of version 0.1 has spent, which settled nothing: the noted totals, and the records that the clock puts after them."""

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


def spent_before_settlements(directory: RunDirectory) -> Spending | None:
    """Sum what executions of an older version spent; None where none has noted any. Call it after the journal is replayed."""
    noted = [execution for execution in directory.executions() if "spent_tokens" in execution]
    total = Spending(
        max((execution["spent_tokens"] for execution in noted), default=0),
        max((execution["spent_usd"] for execution in noted), default=0.0),
    )
    if total == NOTHING:
        return None
    since = datetime.fromtimestamp(noted[-1]["ended_at"], UTC)
    for part in directory.results.glob("part-*.parquet"):
        total += _of_part(part, since)
    for row in _lines(directory):
        if "ordinal" in row and datetime.fromisoformat(row["completed_at"]) > since:
            total += spent_on(row)
    return total


def spent_on(row: JournalRow) -> Spending:
    """Sum the columns that count. Where only a part came from the cache (some turns, a judge's answer), its tokens count too."""
    judging = Spending(row["judge_input_tokens"] + row["judge_output_tokens"], row["judge_cost_usd"] or 0.0)
    if row["cache_hit"]:
        return judging
    return judging + Spending(row["input_tokens"] + row["output_tokens"], row["cost_usd"] or 0.0)


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
