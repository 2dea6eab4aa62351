"""How far a run is, read from its directory; works while the run goes on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from runners.frames import rows
from runners.record import FINAL

from .directory import RunDirectory
from .results import Run


def status_of(path: str | Path) -> dict[str, Any]:
    """Records by outcome and by instance; `in_journal` are on disk but not yet in a result part."""
    directory = RunDirectory(Path(path))
    found = Run.load(path)
    records = found.to_arrow().select(["outcome", "instance"]).to_pylist()
    fresh = [
        row for segment in sorted(directory.journal.glob("[0-9]*.log")) for row in rows(segment) if "outcome" in row
    ]
    outcomes = Counter(row["outcome"] for row in [*records, *fresh])
    return {
        "run_id": found.manifest.run_id,
        "total": found.manifest.total,
        "final": sum(count for outcome, count in outcomes.items() if outcome in FINAL),
        "in_journal": len(fresh),
        "outcomes": dict(outcomes),
        "instances": dict(Counter(str(row["instance"]) for row in [*records, *fresh])),
        "executions": directory.executions(),
    }
