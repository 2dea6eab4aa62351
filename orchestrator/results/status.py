"""The progress of a run, read from its directory. This also works while the run is active."""

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

from .run import Run
from .run_directory.directory import ExecutionNote, RunDirectory

COLUMNS = ("ordinal", "outcome", "instance")


class Stall(TypedDict):
    """The decision `run_stalled`: no sample ended for a while."""

    event: str
    at: float
    """Seconds since the epoch."""
    idle_s: float
    waits: list[WaitRow]


class Status(TypedDict):
    """The progress of a run."""

    run_id: str
    total: int
    final: int
    in_journal: int
    """Final records that are not yet in a result part."""
    outcomes: dict[str, int]
    instances: dict[str, int]
    executions: list[ExecutionNote]
    stalled: Stall | None


class _SampleRow(NamedTuple):
    """The columns of a record that the status needs."""

    ordinal: int
    outcome: str
    instance: str | None


def status_of(path: str | Path) -> Status:
    """Count the samples of a run directory by outcome and by instance, each once. Raises InputError where `path` is no run directory."""
    directory = RunDirectory(Path(path))
    run = Run.load(path)
    # the journal is read first: records that are compacted meanwhile are then found in the results
    in_journal = list(_journal_rows(directory.journal))
    in_results = [_SampleRow(**row) for table in run.tables(COLUMNS) for row in table.to_pylist()]
    samples = _latest([*in_results, *in_journal])
    outcomes = Counter(row.outcome for row in samples.values())
    final = sum(count for outcome, count in outcomes.items() if outcome in FINAL)
    return {
        "run_id": run.manifest.run_id,
        "total": run.manifest.total,
        "final": final,
        "in_journal": final - len({row.ordinal for row in in_results if row.outcome in FINAL}),
        "outcomes": dict(outcomes),
        "instances": dict(Counter(str(row.instance) for row in samples.values())),
        "executions": directory.executions(),
        "stalled": _last_stall(directory),
    }


def _last_stall(directory: RunDirectory) -> Stall | None:
    """Return the last stall of an execution that has not ended."""
    path = directory.decisions
    lines = path.read_bytes().splitlines() if path.exists() else []
    stalls = (_decoded(line) for line in reversed(lines) if b'"run_stalled"' in line)
    last_stall = next(filter(None, stalls), None)
    ended_at = max((execution["ended_at"] for execution in directory.executions()), default=0.0)
    return last_stall if last_stall is not None and last_stall["at"] > ended_at else None


def _decoded(line: bytes) -> Stall | None:
    with suppress(orjson.JSONDecodeError):  # a crash may have cut it off
        decision: Stall = orjson.loads(line)
        return decision if decision["event"] == "run_stalled" else None
    return None


def _journal_rows(journal: Path) -> Iterator[_SampleRow]:
    """Yield the rows of the unresolved log, then those of the segments, oldest first.

    A segment that is compacted during the reading is left out.
    """
    for path in [journal / "unresolved.log", *sorted(journal.glob("[0-9]*.log"))]:
        with suppress(FileNotFoundError):
            records = (row for row in rows(path) if "outcome" in row)
            yield from (_SampleRow(row["ordinal"], row["outcome"], row["instance"]) for row in records)


def _latest(rows_in_order: Iterable[_SampleRow]) -> dict[int, _SampleRow]:
    """Return the valid row of each sample by ordinal: the final one, else the latest."""
    latest: dict[int, _SampleRow] = {}
    for row in rows_in_order:
        if row.ordinal not in latest or latest[row.ordinal].outcome not in FINAL:
            latest[row.ordinal] = row
    return latest
