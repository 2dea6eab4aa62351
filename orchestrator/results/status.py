"""How far a run is, read from its directory; works while the run goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from runners.journal.frames import rows
from runners.samples.record import FINAL

from .directory import RunDirectory
from .run import Run

Row = Mapping[str, Any]
COLUMNS = ("ordinal", "outcome", "instance")


def status_of(path: str | Path) -> dict[str, Any]:
    """Samples by outcome and by instance, each once; of the final ones, `in_journal` are not yet in a result part."""
    directory = RunDirectory(Path(path))
    found = Run.load(path)
    fresh = list(_journal_rows(directory.journal))  # first: what is compacted meanwhile is then found in the results
    in_results = [row for table in found.tables(COLUMNS) for row in table.to_pylist()]
    samples = _standing([*in_results, *fresh])
    outcomes = Counter(str(row["outcome"]) for row in samples.values())
    final = sum(count for outcome, count in outcomes.items() if outcome in FINAL)
    return {
        "run_id": found.manifest.run_id,
        "total": found.manifest.total,
        "final": final,
        "in_journal": final - len({row["ordinal"] for row in in_results if row["outcome"] in FINAL}),
        "outcomes": dict(outcomes),
        "instances": dict(Counter(str(row["instance"]) for row in samples.values())),
        "executions": directory.executions(),
        "stalled": _last_stall(directory),
    }


def _last_stall(directory: RunDirectory) -> Row | None:
    """What an execution that has not ended said last of standing still."""
    path = directory.decisions
    lines = path.read_bytes().splitlines() if path.exists() else []
    said = next((one for line in reversed(lines) if b'"run_stalled"' in line and (one := _decoded(line))), None)
    ended_at = max((float(one["ended_at"]) for one in directory.executions()), default=0.0)
    return said if said is not None and said["at"] > ended_at else None


def _decoded(line: bytes) -> dict[str, Any] | None:
    with suppress(orjson.JSONDecodeError):  # a crash may have cut it off
        found: dict[str, Any] = orjson.loads(line)
        return found if found["event"] == "run_stalled" else None
    return None


def _journal_rows(journal: Path) -> Iterator[Row]:
    """Oldest first: what was set aside, then the segments. One that is compacted under our eyes is left out."""
    for path in [journal / "unresolved.log", *sorted(journal.glob("[0-9]*.log"))]:
        with suppress(FileNotFoundError):
            yield from ({name: row[name] for name in COLUMNS} for row in rows(path) if "outcome" in row)


def _standing(found: Iterable[Row]) -> dict[int, Row]:
    """The row that counts of each sample: the final one, else the latest."""
    standing: dict[int, Row] = {}
    for row in found:
        ordinal = row["ordinal"]
        if ordinal not in standing or standing[ordinal]["outcome"] not in FINAL:
            standing[ordinal] = row
    return standing
