"""What a run has spent so far, from its directory alone: totals that executions noted, and the records completed since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from runners.frames import rows
from runners.spending import NOTHING, Spending

from .directory import RunDirectory

COLUMNS = ["completed_at", "input_tokens", "output_tokens", "cost_usd"]


def spent_so_far(directory: RunDirectory) -> Spending:
    """To be asked when the journal has been replayed: every record is then in a part or among the unresolved."""
    noted = [one for one in directory.executions() if "spent_tokens" in one]
    total, since = NOTHING, datetime.min.replace(tzinfo=UTC)
    if noted:
        total = Spending(noted[-1]["spent_tokens"], noted[-1]["spent_usd"])
        since = datetime.fromtimestamp(noted[-1]["ended_at"], UTC)
    for part in directory.results.glob("part-*.parquet"):
        total += _of_part(part, since)
    for row in _lines(directory):
        if datetime.fromisoformat(row["completed_at"]) > since:
            total += Spending(row["input_tokens"] + row["output_tokens"], row["cost_usd"] or 0.0)
    return total


def _of_part(part: Path, since: datetime) -> Spending:
    """Four columns in small batches: memory does not grow with the part."""
    total = NOTHING
    for batch in pq.ParquetFile(part).iter_batches(columns=COLUMNS):
        table = pa.table(batch)
        fresh = table.filter(
            pc.greater(table["completed_at"], pa.scalar(since, table.schema.field("completed_at").type))
        )
        tokens, cost = pc.add(fresh["input_tokens"], fresh["output_tokens"]), fresh["cost_usd"]
        total += Spending(pc.sum(tokens).as_py() or 0, pc.sum(cost).as_py() or 0.0)
    return total


def _lines(directory: RunDirectory) -> Iterator[Mapping[str, Any]]:
    results, unresolved = directory.results / "results.jsonl", directory.journal / "unresolved.log"
    if results.exists():
        with results.open("rb") as file:
            yield from map(orjson.loads, (line for line in file if line.endswith(b"\n")))
    if unresolved.exists():
        yield from rows(unresolved)
