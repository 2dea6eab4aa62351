"""The verifier of a run directory. It reads the journal segments first, then the result parts, then the records that are not final.

An active run moves records in the same order, so a record that is compacted meanwhile is found in a segment or in a part.
Memory: two bits and a byte per sample, eight bytes per task, one row group, and the ordinals of the open segments.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from runners.journal.frames import JournalLine, JournalRow, read_lines
from runners.journal.journal import CLOSED
from runners.journal.sinks.open_sink import sink_over
from runners.journal.sinks.sink import UNRESOLVED, Batch
from runners.journal.sinks.table_rows import column_of
from runners.samples.bitmap import Bitmap
from runners.samples.record import FINAL
from sharding.planner import fingerprint

from ..run_directory.directory import Manifest, RunDirectory
from .row_identity import COLUMNS, IdentityRow, RowIdentity, grid_of
from .verification import Damage, Kind, Pending, Verification

ORDINAL, OUTCOME = COLUMNS.index("ordinal"), COLUMNS.index("outcome")
SHOWN = 5
"""The most pending samples that are listed."""
NEVER_RUN = 0
WAITING = ("never run", "infra_failure", "not_run")
"""The outcomes of samples without a final record. The byte that is kept per sample is an index of this tuple."""


@dataclass(slots=True)
class _Segment:
    """The ordinals in one journal file."""

    path: Path
    final: array[int] = field(default_factory=lambda: array("Q"))
    waiting: array[int] = field(default_factory=lambda: array("Q"))
    outcomes: bytearray = field(default_factory=bytearray)
    """The outcomes of the waiting samples, as indices of WAITING."""
    is_closed: bool = False
    """Whether the execution that wrote it has ended."""


def verify(path: str | Path) -> Verification:
    """Read every byte of the records in the run directory `path`. Raises InputError where it is none."""
    directory = RunDirectory(Path(path))
    manifest = directory.read_manifest()
    verifier = _Verifier(manifest)
    if fingerprint(manifest.parts) != manifest.fingerprint:
        verifier.report(Damage("manifest", "manifest.json", "", "its fingerprint is not that of its parts"))
    segments = list(verifier.read_segments(directory.journal))
    verifier.read_results(directory.results)
    for segment in segments:
        verifier.add_segment(segment)
    verifier.read_unresolved(directory.journal / "unresolved.log")
    if all(segment.is_closed for segment in segments):
        verifier.require_disjoint()
    return verifier.close()


class _Verifier:
    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._grid = grid_of(manifest)
        self._row_identity = RowIdentity(manifest.run_id, self._grid)
        self._final = Bitmap(manifest.total)
        self._waiting = bytearray(manifest.total)
        self._unresolved = Bitmap(manifest.total)
        self._parts: set[int] = set()
        self._in_journal = 0
        self._damages: list[Damage] = []

    def report(self, damage: Damage) -> None:
        """Add a damage to the result."""
        self._damages.append(damage)

    # ------------------------------------------------------------------ the journal
    def read_segments(self, journal: Path) -> Iterator[_Segment]:
        """Read the journal segments, oldest first."""
        for path in sorted(journal.glob("[0-9]*.log")):
            with suppress(FileNotFoundError):  # compacted meanwhile: its records are in a part now
                yield self._read_segment(path)

    def _read_segment(self, path: Path) -> _Segment:
        segment = _Segment(path)
        for value in self._intact(path):
            segment.is_closed = CLOSED in value
            if value.get("outcome") in FINAL:
                segment.final.append(value["ordinal"])
            elif "ordinal" in value:
                segment.waiting.append(value["ordinal"])
                segment.outcomes.append(WAITING.index(value["outcome"]))
        return segment

    def _intact(self, path: Path) -> Iterator[JournalRow]:
        """Yield the undamaged lines of this run: marks and records. An incomplete last line is no damage, a run may be writing it."""
        for line in read_lines(path):
            if line.value is None and not line.is_torn:
                self._report_line("journal", path, line, "its checksum is wrong")
            elif line.value is not None and (difference := self._difference(line.value)):
                self._report_line("foreign", path, line, difference)
            elif line.value is not None:
                yield line.value

    def _report_line(self, kind: Kind, path: Path, line: JournalLine, what: str) -> None:
        self.report(Damage(kind, f"journal/{path.name}", f"line {line.number}", what))

    def _difference(self, value: JournalRow) -> str | None:
        return self._row_identity.difference(_identity_row(value)) if "ordinal" in value else None

    def add_segment(self, segment: _Segment) -> None:
        """Count the records of a segment that are in no result part."""
        for ordinal, outcome in zip(segment.waiting, segment.outcomes, strict=True):
            self._waiting[ordinal] = outcome
        if int(segment.path.stem) in self._parts:
            return  # the part was written from this segment; a resume deletes the segment
        repeated = [ordinal for ordinal in segment.final if not self._final.add(ordinal)]
        self._in_journal += len(segment.final) - len(repeated)
        if repeated:
            self.report(Damage("foreign", f"journal/{segment.path.name}", "", _repeated(repeated)))

    def read_unresolved(self, log: Path) -> None:
        """Read the journal's log of unresolved records."""
        with suppress(FileNotFoundError):
            for row in self._intact(log):
                if "ordinal" in row:
                    ordinal = row["ordinal"]
                    self._waiting[ordinal] = self._waiting[ordinal] or WAITING.index(row["outcome"])

    # ------------------------------------------------------------------ results
    def read_results(self, results: Path) -> None:
        """Read the result parts and the unresolved file."""
        for batch in sink_over(self._manifest.storage_format, results).examine(COLUMNS):
            self._parts.add(batch.part)
            for kind, what in self._faults(batch):
                self.report(Damage(kind, f"results/{batch.file}", batch.where, what, batch.part))

    def _faults(self, batch: Batch) -> Iterator[tuple[Kind, str]]:
        is_final = batch.part != UNRESOLVED
        kind: Kind = "part" if is_final else "unresolved"
        if batch.fault is not None:
            yield kind, batch.fault
            return
        if not self._row_identity.are_planned(batch.rows):
            rows = (IdentityRow(*row) for row in batch.rows)
            outlier = next(filter(None, map(self._row_identity.difference, rows)), None)
            if outlier is not None:
                yield "foreign", outlier
                return
        if any((outcome in FINAL) != is_final for outcome in column_of(batch.rows, OUTCOME)):
            yield kind, "holds records that are not final" if is_final else "holds final records"
        seen = self._final if is_final else self._unresolved
        repeated = seen.add_all([ordinal for ordinal in column_of(batch.rows, ORDINAL) if isinstance(ordinal, int)])
        if repeated:
            yield kind, _repeated(repeated)

    def require_disjoint(self) -> None:
        """Report samples that are both unresolved and final. Only during an execution may the unresolved file hold final samples."""
        if not self._unresolved.count:
            return
        both = [
            ordinal for ordinal in range(self._manifest.total) if ordinal in self._unresolved and ordinal in self._final
        ]
        if both:
            self.report(
                Damage("unresolved", "results", "", f"what is unresolved and what is final overlap: {_repeated(both)}")
            )

    # ------------------------------------------------------------------ the result
    def close(self) -> Verification:
        """Return the result."""
        repeated_tasks = self._row_identity.repeated_tasks()
        if repeated_tasks:
            self.report(Damage("foreign", "results", "", f"{repeated_tasks} tasks have two positions in the plan"))
        waiting = Counter(map(self._waiting.__getitem__, self._final.missing()))
        never_run = waiting.pop(NEVER_RUN, 0)
        return Verification(
            run_id=self._manifest.run_id,
            total=self._manifest.total,
            final=self._final.count,
            in_journal=self._in_journal,
            waiting={WAITING[outcome]: count for outcome, count in sorted(waiting.items())},
            never_run=never_run,
            first_pending=list(islice(self._pending(), SHOWN)),
            damages=self._damages,
        )

    def _pending(self) -> Iterator[Pending]:
        for ordinal in self._final.missing():
            number, epoch, task = self._grid.locate(ordinal)
            cell, waiting_as = self._grid.cells[number], WAITING[self._waiting[ordinal]]
            outcome = None if waiting_as == WAITING[NEVER_RUN] else waiting_as
            yield Pending(ordinal, cell.model, cell.prompt_type, cell.tool_success_rate, epoch, task, outcome)


def _identity_row(value: JournalRow) -> IdentityRow:
    """Read the sample of a journal line; None if the line names none."""
    return IdentityRow(*(value.get(name) for name in COLUMNS))


def _repeated(ordinals: list[int]) -> str:
    return f"{len(ordinals)} of its samples already have such a record, the first is ordinal {ordinals[0]}"
