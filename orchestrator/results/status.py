"""The progress of a run, read from its directory. This also works while the run is active."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypedDict, TypeVar

import orjson

from runners.journal.frames import rows
from runners.samples.in_flight_samples import WaitRow
from runners.samples.record import FINAL

from .run import Run
from .run_directory.directory import ExecutionNote, RunDirectory
from .run_directory.run_records import foreign_samples

COLUMNS = ("ordinal", "outcome", "instance")
Group = TypeVar("Group", str, bool)


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
    in_journal, latest = _LatestRows(run), _LatestRows(run)
    for sample in _journal_rows(directory.journal):
        in_journal.add(sample)
    for table in run.tables(COLUMNS):
        for row in table.to_pylist():
            latest.add(_SampleRow(**row))
    in_results = latest.final
    for sample in in_journal:
        latest.add(sample)
    return {
        "run_id": run.manifest.run_id,
        "total": run.manifest.total,
        "final": latest.final,
        "in_journal": latest.final - in_results,
        "outcomes": latest.count(lambda outcome, _: outcome),
        "instances": latest.count(lambda _, instance: str(instance)),
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


class _LatestRows:
    """The valid row of each sample: the final one, else the latest. It takes four bytes per sample."""

    def __init__(self, run: Run) -> None:
        self._path = run.path
        self._codes = array("I", bytes(4 * run.manifest.total))
        """For each ordinal the place in `_kinds`; 0 where it has no row."""
        self._kinds: list[tuple[str, str | None]] = [("", None)]
        self._code_of: dict[tuple[str, str | None], int] = {}

    def add(self, row: _SampleRow) -> None:
        """Add a row that is later than the others. Raises StorageError where the run has no such sample."""
        if row.ordinal >= len(self._codes):
            raise foreign_samples(self._path)
        if self._kinds[self._codes[row.ordinal]][0] in FINAL:
            return
        kind = (row.outcome, row.instance)
        if kind not in self._code_of:
            self._code_of[kind] = len(self._kinds)
            self._kinds.append(kind)
        self._codes[row.ordinal] = self._code_of[kind]

    @property
    def final(self) -> int:
        """The number of samples with a final row."""
        return self.count(lambda outcome, _: outcome in FINAL).get(True, 0)

    def count(self, group_of: Callable[[str, str | None], Group]) -> dict[Group, int]:
        """Count the samples by what `group_of` makes of their outcome and instance."""
        groups = Counter[Group]()
        for code, samples in Counter(self._codes).items():
            if code:
                groups[group_of(*self._kinds[code])] += samples
        return dict(groups)

    def __iter__(self) -> Iterator[_SampleRow]:
        return (_SampleRow(ordinal, *self._kinds[code]) for ordinal, code in enumerate(self._codes) if code)
