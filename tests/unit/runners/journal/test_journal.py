"""The journal on real files: durable before counted, readable after every crash, loud when the disk refuses."""

from __future__ import annotations

import asyncio
import math
import resource
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from providers.errors import StorageError
from runners.instants import instant
from runners.journal.commit_group import BACKLOG_BYTES, BACKLOG_RECORDS, COMMIT_BYTES, COMMIT_RECORDS
from runners.journal.compaction import Compactor, Replay
from runners.journal.frames import frame, rows
from runners.journal.journal import SEGMENT_BYTES, Journal
from runners.journal.kept_rows import KEPT_BYTES, KEPT_GROUP_BYTES
from runners.journal.sinks.jsonl import JsonlSink
from runners.journal.sinks.sink import Sink
from runners.samples.bitmap import Bitmap
from tests.unit.runners.doubles import ListSink, a_record

SEGMENT_RECORDS = 20_000
SIZE = 2 * SEGMENT_RECORDS
SOON_S = 20.0
"""Far above what anything here takes: a test that waits longer hangs."""


class Count:
    """What a monitor would have counted."""

    def __init__(self) -> None:
        self.durable: list[int] = []
        self._changed = asyncio.Event()

    def of(self, ordinal: int) -> Callable[[], None]:
        return partial(self._add, ordinal)

    def _add(self, ordinal: int) -> None:
        self.durable.append(ordinal)
        self._changed.set()

    async def reaches(self, number: int) -> None:
        async with asyncio.timeout(SOON_S):
            while len(self.durable) < number:
                self._changed.clear()
                await self._changed.wait()


async def until(condition: Callable[[], bool]) -> None:
    """Look again and again: what is looked for is on the disk or inside, and tells nobody."""
    async with asyncio.timeout(SOON_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def fail_to_write(folder: Path, sink: Sink) -> None:
    """Append a record to segments of one, and watch."""
    async with open_journal(folder, sink, segment_records=1) as journal:
        journal.append(a_record(0), lambda: None)
        await asyncio.wait_for(journal.watch(), SOON_S)


async def fail_by_a_bug(folder: Path, sink: Sink) -> None:
    """Append a record and fall over."""
    async with open_journal(folder, sink) as journal:
        journal.append(a_record(0), lambda: None)
        raise ZeroDivisionError


def no_space(number: int) -> None:
    raise OSError(28, "No space left on device")


def open_journal(folder: Path, sink: Sink, **settings: Any) -> Journal:
    folder.mkdir(parents=True, exist_ok=True)
    compactor = Compactor(folder, sink)
    return Journal(folder, compactor, compactor.replay(SIZE).done, **{"segment_records": SEGMENT_RECORDS, **settings})


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.log"))


def in_segments(folder: Path) -> list[int]:
    return [row["ordinal"] for path in segments(folder) for row in rows(path) if "ordinal" in row]


def killed(folder: Path, to: Path) -> Path:
    """What a `kill -9` now would leave of the journal."""
    try:
        shutil.copytree(folder, to)
    except shutil.Error:  # a segment was compacted away between the listing and the copy
        shutil.rmtree(to)
        return killed(folder, to)
    return to


def done_of(replay: Replay) -> list[int]:
    return [ordinal for ordinal in range(SIZE) if ordinal in replay.done]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A disk that refuses every byte behind `size`: what it does take of a write, it takes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# ------------------------------------------------------------------ committing
async def test_a_record_is_on_the_disk_before_it_is_counted(tmp_path: Path) -> None:
    found: dict[int, list[int]] = {}
    count = Count()

    def look(ordinal: int) -> None:
        found[ordinal] = in_segments(tmp_path)
        count.of(ordinal)()

    async with open_journal(tmp_path, ListSink()) as journal:
        for ordinal in range(3):
            journal.append(a_record(ordinal), partial(look, ordinal))
        assert found == {}
        await count.reaches(3)
    assert all(ordinal in on_disk for ordinal, on_disk in found.items())


async def test_records_are_committed_in_groups_and_each_is_counted_once(tmp_path: Path) -> None:
    count, sink = Count(), ListSink()
    async with open_journal(tmp_path, sink) as journal:
        for ordinal in range(3 * COMMIT_RECORDS + 10):
            journal.append(a_record(ordinal), count.of(ordinal))
            if ordinal % 100 == 0:
                await asyncio.sleep(0)
        await count.reaches(3 * COMMIT_RECORDS + 10)
        (path,) = segments(tmp_path)
        assert 1 <= sum("committed" in row for row in rows(path)) <= 5
    assert count.durable == sink.found == list(range(3 * COMMIT_RECORDS + 10))


async def test_a_full_group_does_not_wait_for_the_clock(tmp_path: Path) -> None:
    count = Count()
    async with open_journal(tmp_path, ListSink()) as journal:
        for ordinal in range(COMMIT_RECORDS):
            journal.append(a_record(ordinal), count.of(ordinal))
        assert journal._timer is None
        await count.reaches(COMMIT_RECORDS)


async def test_a_group_of_long_records_does_not_wait_for_the_clock(tmp_path: Path) -> None:
    count = Count()
    async with open_journal(tmp_path, ListSink()) as journal:
        journal.append(a_record(0, output_text="x" * (COMMIT_BYTES // 2)), count.of(0))
        is_waiting = journal._timer is not None
        assert is_waiting
        journal.append(a_record(1, output_text="x" * (COMMIT_BYTES // 2)), count.of(1))
        assert journal._timer is None
        await count.reaches(2)


async def test_what_was_appended_is_durable_and_counted_after_a_flush(tmp_path: Path) -> None:
    """A run that asks how it ended must not miss the last group."""
    count = Count()
    async with open_journal(tmp_path, ListSink()) as journal:
        await journal.flush()
        for ordinal in range(COMMIT_RECORDS + 3):
            journal.append(a_record(ordinal), count.of(ordinal))
        await journal.flush()
        assert count.durable == in_segments(tmp_path) == list(range(COMMIT_RECORDS + 3))


async def test_leaving_commits_what_is_left_and_compacts_everything(tmp_path: Path) -> None:
    count, sink = Count(), ListSink()
    async with open_journal(tmp_path, sink) as journal:
        journal.append(a_record(0), count.of(0))
        journal.append(a_record(1, "infra_failure"), count.of(1))
    assert count.durable == [0, 1]
    assert (sink.found, [row["ordinal"] for row in sink.unresolved]) == ([0], [1])
    assert segments(tmp_path) == []


async def test_a_bug_in_the_body_passes_and_nothing_is_lost(tmp_path: Path) -> None:
    sink = ListSink()
    with pytest.raises(ZeroDivisionError):
        await fail_by_a_bug(tmp_path, sink)
    assert sink.found == [0]


@pytest.mark.parametrize("cancels", [1, 2, 5])
async def test_a_run_that_is_cancelled_is_closed_before_it_ends_and_loses_nothing(tmp_path: Path, cancels: int) -> None:
    sink = ListSink()

    async def run() -> None:
        async with open_journal(tmp_path, sink) as journal:
            journal.append(a_record(0), lambda: None)
            await asyncio.sleep(1000)

    running = asyncio.create_task(run())
    for _ in range(cancels):
        await asyncio.sleep(0)
        running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (sink.found, segments(tmp_path)) == ([0], [])


async def test_only_final_records_are_done(tmp_path: Path) -> None:
    async with open_journal(tmp_path, ListSink()) as journal:
        for ordinal, outcome in enumerate(["ok", "model_failure", "infra_failure", "not_run"]):
            journal.append(a_record(ordinal, outcome), lambda: None)
        assert [ordinal in journal.done for ordinal in range(4)] == [True, True, False, False]


async def test_writing_is_measured(tmp_path: Path) -> None:
    sink = ListSink()
    async with open_journal(tmp_path, sink, segment_records=2) as journal:
        for ordinal in range(5):
            journal.append(a_record(ordinal, completed_at=instant(time.time())), lambda: None)
    assert all(0 < row["write_s"] < 60 for part in sink.parts.values() for row in part)


async def test_a_wall_clock_that_was_set_while_a_record_was_written_measures_nothing(tmp_path: Path) -> None:
    sink = ListSink()
    async with open_journal(tmp_path, sink, segment_records=1) as journal:
        for ordinal, away_s in enumerate((-7200.0, 7200.0)):
            journal.append(a_record(ordinal, completed_at=instant(time.time() + away_s)), lambda: None)
    written = {row["ordinal"]: row["write_s"] for part in sink.parts.values() for row in part}
    assert written == {0: None, 1: None}


async def test_half_a_surrogate_pair_in_an_answer_does_not_end_the_run(tmp_path: Path) -> None:
    sink = ListSink()
    async with open_journal(tmp_path, sink) as journal:
        journal.append(a_record(0, output_text="\udc00"), lambda: None)
    assert [row["output_text"] for row in sink.parts[1]] == ["?"]


async def test_a_record_that_cannot_be_written_down_is_a_bug_and_ends_the_run(tmp_path: Path) -> None:
    count = Count()
    with pytest.raises(TypeError):
        async with open_journal(tmp_path, ListSink()) as journal:
            journal.append(a_record(0, target=object()), count.of(0))
    assert count.durable == []
    assert done_of(Compactor(tmp_path, ListSink()).replay(SIZE)) == []


async def test_long_records_are_committed_in_groups_of_a_bounded_size(tmp_path: Path) -> None:
    count, texts = Count(), 5
    async with open_journal(tmp_path, ListSink()) as journal:
        for ordinal in range(texts):
            journal.append(a_record(ordinal, output_text="x" * (COMMIT_BYTES // 2)), count.of(ordinal))
        await journal.flush()
        assert count.durable == list(range(texts))
        (path,) = segments(tmp_path)
        assert (
            sum("committed" in row for row in rows(path)) == 1
        )  # of the first group; the second has its mark with the next


# ------------------------------------------------------------------ segments
async def test_a_full_segment_becomes_a_part_and_a_new_one_begins(tmp_path: Path) -> None:
    count, sink = Count(), ListSink()
    async with open_journal(tmp_path, sink, segment_records=2) as journal:
        for ordinal in range(5):
            journal.append(a_record(ordinal), count.of(ordinal))
            await count.reaches(ordinal + 1)
    assert {number: len(part) for number, part in sink.parts.items()} == {1: 2, 2: 2, 3: 1}
    assert sink.found == list(range(5))


def empty(path: Path) -> None:
    """Take the records out of a segment, as no disk should: only what is in memory is left of them."""
    path.write_bytes(b"")


@pytest.mark.parametrize("segment_records", [2, SEGMENT_RECORDS])
async def test_a_segment_is_compacted_from_memory_and_its_file_is_not_read(
    tmp_path: Path, segment_records: int
) -> None:
    sink = ListSink()
    async with open_journal(tmp_path, sink, segment_records=segment_records) as journal:
        journal.append(a_record(0), lambda: None)
        journal.append(a_record(1, "infra_failure"), lambda: empty(segments(tmp_path)[-1]))
        await journal.flush()
    assert sink.found == [0]
    assert [row["ordinal"] for row in sink.unresolved] == [1]


@pytest.mark.parametrize("length", [KEPT_GROUP_BYTES - 10_000, KEPT_GROUP_BYTES])
@pytest.mark.parametrize("segment_records", [5, SEGMENT_RECORDS])
async def test_a_segment_that_is_too_large_for_memory_is_compacted_from_its_file(
    tmp_path: Path, segment_records: int, length: int
) -> None:
    """Its groups are too large, or all of them together are; what follows in a new segment is kept again."""
    sink, groups = ListSink(), KEPT_BYTES // KEPT_GROUP_BYTES + 1
    async with open_journal(tmp_path, sink, segment_records=segment_records) as journal:
        for ordinal in range(groups):
            journal.append(a_record(ordinal, output_text=length * "x"), lambda: None)
            await journal.flush()
        journal.append(a_record(groups), lambda: None)
    assert sink.found == list(range(groups + 1))
    lengths = [len(str(row["output_text"])) for part in sink.parts.values() for row in part]
    assert lengths[:groups] == groups * [length]


async def test_a_part_that_was_made_from_memory_is_the_one_that_its_file_gives(tmp_path: Path) -> None:
    folder, copies = tmp_path / "journal", tmp_path / "copies"
    copies.mkdir()
    sink, of_file = ListSink(lambda number: _copy(folder / f"{number:06d}.log", copies)), ListSink()
    async with open_journal(folder, sink, segment_records=3) as journal:
        for ordinal, text in enumerate(["a", "half \ud800", "🙂", "b", "c"]):
            record = a_record(ordinal, output_text=text, score=math.nan, completed_at=instant(time.time()))
            journal.append(record, lambda: None)
            if ordinal != 1:
                await journal.flush()
    Compactor(copies, of_file).replay(SIZE)
    assert {number: len(part) for number, part in sink.parts.items()} == {1: 3, 2: 2}
    assert of_file.parts == sink.parts
    assert all(row["write_s"] is not None and row["score"] is None for part in sink.parts.values() for row in part)


def _copy(segment: Path, to: Path) -> None:
    shutil.copy(segment, to)


async def test_a_segment_is_full_by_its_bytes_before_it_has_its_records(tmp_path: Path) -> None:
    sink, text = ListSink(), "x" * (SEGMENT_BYTES // 10)
    async with open_journal(tmp_path, sink) as journal:
        for ordinal in range(25):
            journal.append(a_record(ordinal, output_text=text), lambda: None)
            await journal.flush()
    assert sink.found == list(range(25))
    assert [len(part) for part in sink.parts.values()] == [10, 10, 5]


async def test_what_is_in_flight_when_a_segment_ends_is_remembered_in_the_next(tmp_path: Path) -> None:
    count, folder = Count(), tmp_path / "journal"
    sink = ListSink()
    async with open_journal(folder, sink, segment_records=1) as journal:
        journal.started(8)
        journal.started(9)
        journal.append(a_record(0), count.of(0))
        await count.reaches(1)
        journal.append(a_record(9), count.of(9))
        await count.reaches(2)
        journal.append(a_record(1), count.of(1))  # not durable yet
        left = killed(folder, tmp_path / "left")
    assert Compactor(left, ListSink()).replay(SIZE).possibly_billed_twice == 1


async def test_what_was_sent_is_noted_although_nothing_has_been_answered(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "journal", ListSink()) as journal:
        journal.started(3)
        await until(lambda: any("started" in row for path in segments(tmp_path / "journal") for row in rows(path)))
        left = killed(tmp_path / "journal", tmp_path / "left")
    assert Compactor(left, ListSink()).replay(SIZE).possibly_billed_twice == 1


# ------------------------------------------------------------------ crashes
async def test_whatever_was_counted_is_there_after_a_kill(tmp_path: Path) -> None:
    count, folder = Count(), tmp_path / "journal"
    async with open_journal(folder, ListSink(), segment_records=50) as journal:
        for ordinal in range(30):
            journal.append(a_record(ordinal), count.of(ordinal))
        await count.reaches(30)
        journal.append(a_record(30), count.of(30))
        left = killed(folder, tmp_path / "left")
    assert done_of(Compactor(left, ListSink()).replay(SIZE)) == list(range(30))


async def test_a_journal_killed_while_it_writes_gives_a_prefix(tmp_path: Path) -> None:
    count, folder = Count(), tmp_path / "journal"
    async with open_journal(folder, ListSink()) as journal:
        journal.started(0)
        for ordinal in range(2):
            journal.append(a_record(ordinal, "ok" if ordinal else "infra_failure"), count.of(ordinal))
        await count.reaches(2)
        whole = segments(folder)[0].read_bytes()
    end = whole.index(frame(a_record(1))) + len(frame(a_record(1)))
    for length in sorted({*range(0, len(whole), 19), *range(end - 9, end + 9), len(whole)}):
        left, sink = tmp_path / str(length), ListSink()
        left.mkdir()
        (left / "000001.log").write_bytes(whole[:length])
        replay = Compactor(left, sink).replay(SIZE)
        assert (done_of(replay), replay.damaged) == ([1] if length >= end else [], 0)


async def test_a_resume_goes_on_behind_the_parts_that_are_there(tmp_path: Path) -> None:
    sink = ListSink()
    for execution in range(3):
        async with open_journal(tmp_path, sink) as journal:
            assert journal.done.count == execution
            journal.append(a_record(execution), lambda: None)
    assert {number: [row["ordinal"] for row in part] for number, part in sink.parts.items()} == {1: [0], 2: [1], 3: [2]}


async def test_a_failure_that_a_resume_repairs_is_final_only(tmp_path: Path) -> None:
    sink = ListSink()
    for outcome in ("infra_failure", "not_run", "ok"):
        async with open_journal(tmp_path, sink) as journal:
            assert 4 not in journal.done
            journal.append(a_record(4, outcome), lambda: None)
    assert (sink.found, sink.unresolved) == ([4], [])


# ------------------------------------------------------------------ a disk that is slow or full
class Gate:
    """A disk that holds its breath."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.active = threading.Event()

    def __call__(self, number: int) -> None:
        self.reached.set()
        assert self.active.wait(SOON_S)


async def test_commits_go_on_while_a_part_is_written(tmp_path: Path) -> None:
    gate, count = Gate(), Count()
    sink = ListSink(before_write=gate)
    async with open_journal(tmp_path, sink, segment_records=3) as journal:
        try:
            for ordinal in range(3):
                journal.append(a_record(ordinal), count.of(ordinal))
            await asyncio.to_thread(gate.reached.wait, SOON_S)
            for ordinal in range(3, 5):
                journal.append(a_record(ordinal), count.of(ordinal))
                await count.reaches(ordinal + 1)
            assert sink.parts == {}
        finally:
            gate.active.set()
    assert {number: len(part) for number, part in sink.parts.items()} == {1: 3, 2: 2}


@asynccontextmanager
async def a_busy_journal(folder: Path, gate: Gate, count: Count) -> AsyncIterator[Journal]:
    """One part is being written, the next segment is full: commits wait until the gate opens."""
    async with open_journal(folder, ListSink(before_write=gate), segment_records=1) as journal:
        try:
            journal.append(a_record(0), count.of(0))
            await asyncio.to_thread(gate.reached.wait, SOON_S)
            journal.append(a_record(1), count.of(1))
            await count.reaches(2)
            yield journal
        finally:
            gate.active.set()


async def test_a_group_whose_time_comes_while_the_disk_is_busy_is_not_forgotten(tmp_path: Path) -> None:
    gate, count = Gate(), Count()
    async with a_busy_journal(tmp_path, gate, count) as journal:
        journal.append(a_record(2), count.of(2))
        await until(lambda: journal._timer is None)
        assert count.durable == [0, 1]
        gate.active.set()
        await count.reaches(3)


async def test_workers_wait_while_the_disk_is_far_behind(tmp_path: Path) -> None:
    gate, count = Gate(), Count()
    async with a_busy_journal(tmp_path, gate, count) as journal:
        for ordinal in range(2, BACKLOG_RECORDS + 1):
            journal.append(a_record(ordinal), lambda: None)
        await journal.room()
        journal.append(a_record(BACKLOG_RECORDS + 1), lambda: None)
        waiting = asyncio.create_task(journal.room())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        gate.active.set()
        await asyncio.wait_for(waiting, SOON_S)


async def test_workers_wait_while_few_but_long_records_are_behind(tmp_path: Path) -> None:
    gate, count = Gate(), Count()
    async with a_busy_journal(tmp_path, gate, count) as journal:
        for ordinal in range(2, 5):
            journal.append(a_record(ordinal, output_text="x" * (BACKLOG_BYTES // 4)), lambda: None)
        await journal.room()
        journal.append(a_record(5, output_text="x" * (BACKLOG_BYTES // 4)), lambda: None)
        waiting = asyncio.create_task(journal.room())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        gate.active.set()
        await asyncio.wait_for(waiting, SOON_S)


async def test_a_kill_while_a_part_is_written_loses_nothing_of_either_segment(tmp_path: Path) -> None:
    gate, count, folder = Gate(), Count(), tmp_path / "journal"
    async with a_busy_journal(folder, gate, count):
        assert len(segments(folder)) == 2
        left, sink = killed(folder, tmp_path / "left"), ListSink()
        assert done_of(Compactor(left, sink).replay(SIZE)) == [0, 1]
        assert sink.found == [0, 1]


async def test_a_disk_that_does_not_answer_does_not_keep_a_run_from_ending(
    tmp_path: Path,
) -> None:
    gate = Gate()
    try:
        with pytest.raises(StorageError, match=r"no answer in 0\.1 s; everything committed is safe: check the disk"):
            async with open_journal(tmp_path, ListSink(before_write=gate), close_within_s=0.1) as journal:
                journal.append(a_record(0), lambda: None)
    finally:
        gate.active.set()


async def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_bytes(b"")
    with pytest.raises(StorageError, match=r"cannot write \S+/file: .+; everything committed is safe: check the disk"):
        Journal(folder, Compactor(folder, ListSink()), Bitmap(SIZE), segment_records=SEGMENT_RECORDS)


def test_a_replay_that_has_no_room_is_one_sentence_and_can_be_done_again(tmp_path: Path) -> None:
    (tmp_path / "000001.log").write_bytes(frame(a_record(0)))
    full = ListSink(before_write=no_space)
    with pytest.raises(
        StorageError, match=r"No space left on device; everything committed is safe: make room, then resume"
    ):
        Compactor(tmp_path, full).replay(SIZE)
    assert done_of(Compactor(tmp_path, ListSink()).replay(SIZE)) == [0]


async def test_a_full_disk_is_told_by_the_watch_and_what_was_committed_stays_readable(tmp_path: Path) -> None:
    count, sink = Count(), ListSink()

    async def run() -> None:
        async with open_journal(tmp_path, sink) as journal:
            for ordinal in range(3):
                journal.append(a_record(ordinal), count.of(ordinal))
            await count.reaches(3)
            with files_of_at_most(segments(tmp_path)[0].stat().st_size + 100):
                journal.append(a_record(3), count.of(3))
                await asyncio.wait_for(journal.watch(), SOON_S)

    with pytest.raises(StorageError, match=r"cannot write .*make room, then resume"):
        await run()
    assert count.durable == [0, 1, 2]
    assert sink.parts == {}
    replay = Compactor(tmp_path, sink).replay(SIZE)
    assert (done_of(replay), replay.damaged) == ([0, 1, 2], 0)


async def test_a_group_that_the_disk_takes_in_part_leaves_nothing_in_the_segment(tmp_path: Path) -> None:
    """Its first record is whole on the disk when the second is refused, and neither was counted."""
    count, left = Count(), b""

    async def run() -> None:
        nonlocal left
        async with open_journal(tmp_path, ListSink()) as journal:
            journal.append(a_record(0), count.of(0))
            await count.reaches(1)
            (path,) = segments(tmp_path)
            left = path.read_bytes()
            with files_of_at_most(len(left) + len(frame(a_record(1))) + 100):
                for ordinal in (1, 2):
                    journal.append(a_record(ordinal), count.of(ordinal))
                await asyncio.wait_for(journal.watch(), SOON_S)

    with pytest.raises(StorageError):
        await run()
    assert count.durable == [0]
    assert segments(tmp_path)[0].read_bytes() == left
    assert done_of(Compactor(tmp_path, ListSink()).replay(SIZE)) == [0]


async def test_after_the_disk_has_refused_nobody_waits_for_it(tmp_path: Path) -> None:
    has_room = False

    async def run() -> None:
        nonlocal has_room
        async with open_journal(tmp_path, ListSink()) as journal:
            with files_of_at_most(10):
                journal.append(a_record(0), lambda: None)
                with pytest.raises(StorageError):
                    await asyncio.wait_for(journal.watch(), SOON_S)
            for ordinal in range(1, BACKLOG_RECORDS + 10):
                journal.append(a_record(ordinal), lambda: None)
            await asyncio.wait_for(journal.room(), SOON_S)
            has_room = True

    with pytest.raises(StorageError):
        await run()
    assert has_room


async def test_a_disk_that_fills_up_on_leaving_is_not_taken_for_success(tmp_path: Path) -> None:
    count = Count()
    journal = open_journal(tmp_path, ListSink())
    with pytest.raises(StorageError, match="cannot write"), files_of_at_most(10):
        async with journal:
            journal.append(a_record(0), count.of(0))
    assert count.durable == []
    assert done_of(Compactor(tmp_path, ListSink()).replay(SIZE)) == []


async def test_results_that_cannot_be_written_leave_the_journal_as_it_is(tmp_path: Path) -> None:
    count, folder = Count(), tmp_path / "journal"
    with pytest.raises(StorageError, match="No space left on device"):
        async with open_journal(folder, ListSink(before_write=no_space)) as journal:
            journal.append(a_record(0), count.of(0))
    assert count.durable == [0]
    assert done_of(Compactor(folder, ListSink()).replay(SIZE)) == [0]


async def test_what_the_watch_has_raised_is_not_told_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        async with open_journal(tmp_path, ListSink()) as journal, asyncio.TaskGroup() as tasks:
            tasks.create_task(journal.watch())
            journal.append(a_record(0), lambda: None)

    with pytest.raises(ExceptionGroup), files_of_at_most(10):
        await run()
    assert caplog.messages == []


async def test_a_part_that_cannot_be_written_stops_the_run_when_its_segment_is_full(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        await fail_to_write(tmp_path, ListSink(before_write=no_space))
    assert done_of(Compactor(tmp_path, ListSink()).replay(SIZE)) == [0]


async def test_a_bug_while_committing_is_loud_and_loses_no_segment(tmp_path: Path) -> None:
    def fall_over(number: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_to_write(tmp_path, ListSink(before_write=fall_over))
    assert done_of(Compactor(tmp_path, ListSink()).replay(SIZE)) == [0]


async def test_the_error_of_the_body_comes_before_that_of_the_disk_which_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ZeroDivisionError), files_of_at_most(10):
        await fail_by_a_bug(tmp_path, ListSink())
    (said,) = caplog.messages
    assert said.startswith(f"the journal could not be closed either: cannot write {tmp_path}")


async def test_the_watch_is_silent_while_all_is_well(tmp_path: Path) -> None:
    async with open_journal(tmp_path, ListSink()) as journal:
        watch = asyncio.create_task(journal.watch())
        await asyncio.sleep(0)
        assert not watch.done()
        watch.cancel()
        await asyncio.wait([watch])


async def test_a_real_sink_holds_what_was_appended_after_a_kill_and_a_resume(tmp_path: Path) -> None:
    count, folder, results = Count(), tmp_path / "run" / "journal", tmp_path / "run" / "results"
    results.mkdir(parents=True)
    async with open_journal(folder, JsonlSink(results), segment_records=2) as journal:
        for ordinal in range(5):
            journal.append(a_record(ordinal), count.of(ordinal))
            await count.reaches(ordinal + 1)
        left = killed(tmp_path / "run", tmp_path / "left")
    sink = JsonlSink(left / "results")
    replay = Compactor(left / "journal", sink).replay(SIZE)
    assert done_of(replay) == list(sink.ordinals()) == list(range(5))


async def test_what_is_cancelled_on_its_way_counts_as_possibly_billed_twice(tmp_path: Path) -> None:
    sink = ListSink()
    async with open_journal(tmp_path, sink) as journal:
        journal.started(0)
        journal.started(1)
        journal.append(a_record(0), lambda: None)
    replay = Compactor(tmp_path, sink).replay(SIZE)
    assert (done_of(replay), replay.possibly_billed_twice) == ([0], 1)
    async with open_journal(tmp_path, sink) as journal:
        journal.append(a_record(1), lambda: None)
    assert sink.found == [0, 1]
    assert Compactor(tmp_path, sink).replay(SIZE).possibly_billed_twice == 0


async def test_what_an_execution_before_left_on_its_way_is_marked_until_a_record_comes(tmp_path: Path) -> None:
    (tmp_path / "000001.log").write_bytes(frame({"started": [0, 1, 2]}))
    count, sink = Count(), ListSink()
    async with open_journal(tmp_path, sink, segment_records=1) as journal:
        journal.append(a_record(0), count.of(0))
        await count.reaches(1)
        journal.started(1)
        journal.unbilled(1)  # this time; the request before may have been billed
    assert Compactor(tmp_path, sink).replay(SIZE).possibly_billed_twice == 2


async def test_what_is_answered_and_not_durable_when_a_segment_ends_is_remembered_in_the_next(tmp_path: Path) -> None:
    gate = Gate()
    async with open_journal(tmp_path, ListSink(before_write=gate), segment_records=1) as journal:
        try:
            journal.started(0)
            journal.started(1)
            journal.append(a_record(0), lambda: journal.append(a_record(1), lambda: None))
            await until(lambda: len(segments(tmp_path)) > 1 and any(rows(segments(tmp_path)[1])))
            marks = next(rows(segments(tmp_path)[1]))
        finally:
            gate.active.set()
    assert marks == {"started": [1]}
