"""How far a run is, read from its directory; works while the run goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypedDict

import orjson

from runners.journal.frames import rows
from runners.samples.in_flight_samples import WaitRow
from runners.samples.record import FINAL

from .directory import ExecutionNote, RunDirectory
from .run import Run

COLUMNS = ("ordinal", "outcome", "instance")


class Stall(TypedDict):
    """What a decision of `run_stalled` says."""

    event: str
    at: float
    idle_s: float
    waits: list[WaitRow]


class Status(TypedDict):
    """How far a run is."""

    run_id: str
    total: int
    final: int
    in_journal: int
    """Final records that are not yet in a result part."""
    outcomes: dict[str, int]
    instances: dict[str, int]
    executions: list[ExecutionNote]
    stalled: Stall | None


class _Standing(NamedTuple):
    """What counts of a sample's row."""

    ordinal: int
    outcome: str
    instance: str | None


def status_of(path: str | Path) -> Status:
    """Samples by outcome and by instance, each once; of the final ones, `in_journal` are not yet in a result part."""
    directory = RunDirectory(Path(path))
    found = Run.load(path)
    fresh = list(_journal_rows(directory.journal))  # first: what is compacted meanwhile is then found in the results
    in_results = [_Standing(**row) for table in found.tables(COLUMNS) for row in table.to_pylist()]
    samples = _latest([*in_results, *fresh])
    outcomes = Counter(row.outcome for row in samples.values())
    final = sum(count for outcome, count in outcomes.items() if outcome in FINAL)
    return {
        "run_id": found.manifest.run_id,
        "total": found.manifest.total,
        "final": final,
        "in_journal": final - len({row.ordinal for row in in_results if row.outcome in FINAL}),
        "outcomes": dict(outcomes),
        "instances": dict(Counter(str(row.instance) for row in samples.values())),
        "executions": directory.executions(),
        "stalled": _last_stall(directory),
    }


def _last_stall(directory: RunDirectory) -> Stall | None:
    """What an execution that has not ended said last of standing still."""
    path = directory.decisions
    lines = path.read_bytes().splitlines() if path.exists() else []
    said = next((one for line in reversed(lines) if b'"run_stalled"' in line and (one := _decoded(line))), None)
    ended_at = max((one["ended_at"] for one in directory.executions()), default=0.0)
    return said if said is not None and said["at"] > ended_at else None


def _decoded(line: bytes) -> Stall | None:
    with suppress(orjson.JSONDecodeError):  # a crash may have cut it off
        found: Stall = orjson.loads(line)
        return found if found["event"] == "run_stalled" else None
    return None


def _journal_rows(journal: Path) -> Iterator[_Standing]:
    """Oldest first: what was set aside, then the segments. One that is compacted under our eyes is left out."""
    for path in [journal / "unresolved.log", *sorted(journal.glob("[0-9]*.log"))]:
        with suppress(FileNotFoundError):
            records = (row for row in rows(path) if "outcome" in row)
            yield from (_Standing(row["ordinal"], row["outcome"], row["instance"]) for row in records)


def _latest(rows_in_order: Iterable[_Standing]) -> dict[int, _Standing]:
    """The row that counts of each sample: the final one, else the latest."""
    latest: dict[int, _Standing] = {}
    for row in rows_in_order:
        if row.ordinal not in latest or latest[row.ordinal].outcome not in FINAL:
            latest[row.ordinal] = row
    return latest
