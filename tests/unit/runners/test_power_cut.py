"""A power cut loses nothing that was counted, whenever it comes: what is not synced is gone."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest

from runners.durable import replace_file
from runners.journal.compaction import Compactor, Replay
from runners.journal.journal import Journal
from runners.journal.sinks.jsonl import JsonlSink
from runners.journal.sinks.parquet import ParquetSink
from runners.journal.sinks.sink import Sink
from tests.unit.runners.journal.test_journal import SIZE, Count, done_of, open_journal, segments, until

from .doubles import a_record
from .volatile_disk import Early, VolatileDisk

FORMS = (ParquetSink, JsonlSink)
FAILED = 1
"""The ordinal whose record is not final: it is in the first segment."""
RECORDS = 5
PER_SEGMENT = 2
IN_FLIGHT = 9
"""An ordinal that is sent and never answered."""


class PowerCuts:
    """Cuts the power after every change of the disk and at every count, and resumes from what is left."""

    def __init__(self, folder: Path, form: Callable[[Path], Sink], early: Early = "nothing") -> None:
        self.root = folder / "run"
        self.lost: list[str] = []
        self.events: list[str] = []
        self.disk = VolatileDisk(self.root, "journal", "results", on_change=self._cut_after, early=early)
        self.counted: set[int] = set()
        self.expects_mark = False
        self._numbers = itertools.count()
        self._form = form
        self._left = folder / "left"
        for name in ("journal", "results"):
            (self.root / name).mkdir(parents=True)

    def sink(self) -> Sink:
        return self._form(self.root / "results")

    def count(self, ordinal: int) -> None:
        self.counted.add(ordinal)
        self._cut_after(f"count of {ordinal}")

    def _cut_after(self, event: str) -> None:
        """Both threads of the journal come by here: what was counted is looked at before what is durable."""
        self.events.append(event)
        counted = set(self.counted)
        replay, unresolved = self._resume(self.disk.cut_power(self._left / str(next(self._numbers))))
        missing = counted - {*done_of(replay), *unresolved}
        marks = 1 if self.expects_mark and counted else 0  # committed with the first record, if not before
        if missing or replay.damaged or replay.possibly_billed_twice < marks:
            self.lost.append(f"after {event}: {missing} lost of {counted}, {replay}")

    def _resume(self, left: Path) -> tuple[Replay, list[int]]:
        compactor = Compactor(left / "journal", self._form(left / "results"))
        replay = compactor.replay(SIZE)
        return replay, [row["ordinal"] for row in compactor.unresolved(replay.done)]


def outcome(ordinal: int) -> str:
    return "infra_failure" if ordinal == FAILED else "ok"


def has_only(folder: Path, number: int) -> bool:
    return [int(path.stem) for path in segments(folder)] == [number]


async def append_all(journal: Journal, cuts: PowerCuts) -> None:
    """One record after the other, each counted before the next, and each full segment compacted: no later commit makes up for a sync."""
    count, folder = Count(), cuts.root / "journal"

    def on_durable(ordinal: int) -> None:
        cuts.count(ordinal)
        count.of(ordinal)()

    for ordinal in range(RECORDS):
        journal.append(a_record(ordinal, outcome(ordinal)), partial(on_durable, ordinal))
        await count.reaches(ordinal + 1)
        await until(partial(has_only, folder, (ordinal + 1) // PER_SEGMENT + 1))


@pytest.mark.parametrize("early", ["nothing", "renames", "deletions"])
@pytest.mark.parametrize("form", FORMS)
async def test_a_power_cut_at_any_moment_loses_no_record_that_was_counted_and_no_mark_of_what_is_in_flight(
    tmp_path: Path, form: Callable[[Path], Sink], early: Early
) -> None:
    cuts = PowerCuts(tmp_path, form, early)
    with cuts.disk.observe():
        async with open_journal(cuts.root / "journal", cuts.sink(), segment_records=PER_SEGMENT) as journal:
            journal.started(IN_FLIGHT)
            cuts.expects_mark = True
            await append_all(journal, cuts)
    assert cuts.lost == []
    assert cuts.counted == set(range(RECORDS))
    synced = {event.removesuffix(" synced") for event in cuts.events if event.endswith(" synced")}
    assert {"journal", "journal/000001.log", "journal/000002.log", "journal/unresolved.log", "results"} < synced


@pytest.mark.parametrize("form", FORMS)
async def test_a_power_cut_after_the_end_finds_every_result_and_no_segment(
    tmp_path: Path, form: Callable[[Path], Sink]
) -> None:
    cuts = PowerCuts(tmp_path, form)
    with cuts.disk.observe():
        async with open_journal(cuts.root / "journal", cuts.sink(), segment_records=PER_SEGMENT) as journal:
            await append_all(journal, cuts)
    left = cuts.disk.cut_power(tmp_path / "after")
    assert sorted(form(left / "results").ordinals()) == [n for n in range(RECORDS) if n != FAILED]
    assert [path.name for path in (left / "journal").iterdir()] == ["unresolved.log"]
    batches = list(form(left / "results").examine(["ordinal"]))
    assert [batch.fault for batch in batches if batch.fault] == []
    assert sorted(row[0] for batch in batches for row in batch.rows) == list(range(RECORDS))


def test_a_power_cut_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    root = tmp_path / "run"
    (root / "results").mkdir(parents=True)
    left: list[bytes] = []

    def look(_path: str) -> None:
        path = disk.cut_power(tmp_path / f"left-{len(left)}") / "results" / "a"
        left.append(path.read_bytes() if path.exists() else b"nothing")

    disk = VolatileDisk(root, "results", on_change=look)
    with disk.observe():
        for content in (b"old", b"new"):
            replace_file(root / "results" / "a", partial(_write, content))
    assert left == [b"nothing", b"old", b"old", b"new"]


def _write(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def test_a_mark_of_what_is_in_flight_survives_a_power_cut(tmp_path: Path) -> None:
    cuts = PowerCuts(tmp_path, JsonlSink)
    with cuts.disk.observe():
        Compactor(cuts.root / "journal", cuts.sink()).mark(1, [3])
    left = cuts.disk.cut_power(tmp_path / "after")
    assert Compactor(left / "journal", JsonlSink(left / "results")).replay(SIZE).possibly_billed_twice == 1


def test_the_disk_itself_forgets_what_was_never_synced(tmp_path: Path) -> None:
    root = tmp_path / "run"
    (root / "results").mkdir(parents=True)
    disk = VolatileDisk(root, "results")
    with disk.observe():
        (root / "results" / "a").write_bytes(b"lost")
    assert list((disk.cut_power(tmp_path / "left") / "results").iterdir()) == []
