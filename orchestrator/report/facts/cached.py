"""What the cache of answers spared, by model."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

COLUMNS = ("cache_hit", "saved_usd")


@dataclass(frozen=True, slots=True)
class CacheFacts:
    """The samples of one model that were answered without a request."""

    model: str
    samples: int
    cached: int
    saved_usd: float | None
    """None where no price is known."""


def find_cached(records: pa.Table) -> tuple[CacheFacts, ...]:
    """Count the samples from the cache by model; empty where no answer came from it."""
    if not (pc.any(records["cache_hit"]).as_py() or records["saved_usd"].null_count < records.num_rows):
        return ()
    table = records.select(["model", "saved_usd"]).append_column("cached", pc.cast(records["cache_hit"], pa.int64()))
    grouped = table.group_by("model").aggregate([([], "count_all"), ("cached", "sum"), ("saved_usd", "sum")])
    return tuple(
        CacheFacts(row["model"], row["count_all"], row["cached_sum"], row["saved_usd_sum"])
        for row in grouped.sort_by("model").to_pylist()
    )
