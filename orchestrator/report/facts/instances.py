"""The facts of each instance: its planned samples, its work, samples moved away and why, and its final state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .decisions import Decisions


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """The work and the final state of one instance."""

    instance: str
    model: str
    planned: int
    done: int
    """Samples that it answered, or where it was the last to fail."""
    moved_away: Mapping[str, int]
    """By reason: samples planned for it that another instance processed."""
    requests: int | None
    """None where its limiter does not count them (fixed mode)."""
    refusals: int | None
    mean_latency_s: float | None
    infra_failures: int
    state: str


def find_instances(records: pa.Table, decisions: Decisions) -> tuple[InstanceFacts, ...]:
    """Build the facts of every instance, ordered by model and name."""
    planned = {
        (row["planned_instance"], row["model"]): row["count_all"]
        for row in records.group_by(["planned_instance", "model"]).aggregate([([], "count_all")]).to_pylist()
    }
    done = {(row["instance"], row["model"]): row for row in _done(records)}
    moved = _moved(records)
    pairs = sorted({*planned, *done}, key=lambda pair: (pair[1], pair[0]))
    return tuple(
        _facts(pair, planned.get(pair, 0), done.get(pair), moved.get(pair[0], {}), decisions) for pair in pairs
    )


def _facts(
    pair: tuple[str, str], planned: int, done: Mapping[str, Any] | None, moved: Mapping[str, int], decisions: Decisions
) -> InstanceFacts:
    instance, model = pair
    return InstanceFacts(
        instance=instance,
        model=model,
        planned=planned,
        done=done["count_all"] if done else 0,
        moved_away=moved,
        requests=decisions.ledger.sent.get(instance),
        refusals=decisions.ledger.refused.get(instance),
        mean_latency_s=done["working_s_mean"] if done else None,
        infra_failures=done["failed_sum"] if done else 0,
        state=decisions.states.get(instance, "healthy"),
    )


def _done(records: pa.Table) -> list[dict[str, Any]]:
    held = records.filter(pc.is_valid(records["instance"]))
    failed = pc.cast(pc.equal(held["outcome"], "infra_failure"), pa.int64())
    grouped = held.append_column("failed", failed).group_by(["instance", "model"])
    rows: list[dict[str, Any]] = grouped.aggregate(
        [([], "count_all"), ("working_s", "mean"), ("failed", "sum")]
    ).to_pylist()
    return rows


def _moved(records: pa.Table) -> dict[str, dict[str, int]]:
    moved = records.filter(pc.is_valid(records["moved_reason"])).group_by(["planned_instance", "moved_reason"])
    counts: dict[str, dict[str, int]] = {}
    for row in moved.aggregate([([], "count_all")]).sort_by("moved_reason").to_pylist():
        counts.setdefault(row["planned_instance"], {})[row["moved_reason"]] = row["count_all"]
    return counts
