"""From segments to parts: every crash between two steps ends in the same results."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from providers.errors import StorageError
from runners.journal.compaction import Compactor, Replay
from runners.journal.frames import frame, rows
from runners.journal.kept_rows import KEPT_GROUP_BYTES, KeptRows
from runners.journal.sinks.jsonl import JsonlSink
from runners.samples.bitmap import Bitmap
from tests.unit.runners.doubles import ListSink, a_record

SIZE = 100


def final(ordinal: int) -> bytes:
    return frame(a_record(ordinal))


def failed(ordinal: int) -> bytes:
    return frame(a_record(ordinal, "infra_failure", score=None, grade=None, passed=None))


def started(*ordinals: int) -> bytes:
    return frame({"started": list(ordinals)})


def segment(folder: Path, number: int, *lines: bytes) -> Path:
    path = folder / f"{number:06d}.log"
    path.write_bytes(b"".join(lines))
    return path


def replayed(folder: Path, sink: ListSink | JsonlSink) -> Replay:
    return Compactor(folder, sink).replay(SIZE)


def done_of(replay: Replay) -> list[int]:
    return [ordinal for ordinal in range(SIZE) if ordinal in replay.done]


def test_a_new_directory_has_nothing_and_starts_with_number_one(tmp_path: Path) -> None:
    compactor = Compactor(tmp_path, ListSink())
    assert done_of(compactor.replay(SIZE)) == []
    assert compactor.next_number() == 1


def test_segments_become_parts_of_the_same_number_and_disappear(tmp_path: Path) -> None:
    sink = ListSink()
    segment(tmp_path, 1, final(0), final(1))
    segment(tmp_path, 2, final(2))
    replay = replayed(tmp_path, sink)
    assert {number: [row["ordinal"] for row in part] for number, part in sink.parts.items()} == {1: [0, 1], 2: [2]}
    assert done_of(replay) == [0, 1, 2]
    assert list(tmp_path.glob("[0-9]*.log")) == []
    assert Compactor(tmp_path, sink).next_number() == 3


def test_a_crash_between_part_and_deletion_makes_no_duplicates(tmp_path: Path) -> None:
    sink = ListSink()
    lines = segment(tmp_path, 1, final(0), failed(1), final(2)).read_bytes()
    replayed(tmp_path, sink)
    segment(tmp_path, 1, lines)  # as if the deletion had not come to the disk
    replay = replayed(tmp_path, sink)
    assert sink.found == [0, 2]
    Compactor(tmp_path, sink).finish(replay.done)
    assert [row["ordinal"] for row in sink.unresolved] == [1]


def no_space(number: int) -> None:
    raise OSError(28, f"no space left for part {number}")


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_compaction_that_failed_can_be_done_again_from_memory_or_from_the_file(tmp_path: Path, is_kept: bool) -> None:
    records = [a_record(0), a_record(1, "infra_failure"), a_record(2)]
    lines = list(map(frame, records))
    path = segment(tmp_path, 1, *lines, frame({"committed": 1.0}))
    kept = KeptRows(1)
    kept.add(records, sum(map(len, lines)), 1.0)
    with pytest.raises(OSError, match="no space left for part 1"):
        Compactor(tmp_path, ListSink(before_write=no_space)).compact(1, kept)
    assert path.exists()
    sink = ListSink()
    compactor = Compactor(tmp_path, sink)
    compactor.compact(1, kept if is_kept else None)
    assert not path.exists()
    assert sink.found == [0, 2]
    assert [row["ordinal"] for row in compactor.unresolved(Bitmap(SIZE))] == [1]


def test_kept_rows_of_another_segment_are_not_taken_for_those_of_this_one(tmp_path: Path) -> None:
    sink, kept = ListSink(), KeptRows(2)
    segment(tmp_path, 1, final(0))
    segment(tmp_path, 2, final(1))
    kept.add([a_record(1)], len(final(1)), 1.0)
    Compactor(tmp_path, sink).finish(Bitmap(SIZE), kept=kept)
    assert {number: [row["ordinal"] for row in part] for number, part in sink.parts.items()} == {1: [0], 2: [1]}


def test_after_a_group_that_is_too_large_nothing_of_its_segment_is_kept() -> None:
    kept = KeptRows(1)
    for size in (10, KEPT_GROUP_BYTES + 1, 10):
        kept.add([a_record(0)], size, 1.0)
    assert not kept.is_complete
    assert list(kept) == []


def test_replaying_again_changes_nothing(tmp_path: Path) -> None:
    sink = ListSink()
    segment(tmp_path, 1, final(0), failed(1))
    assert done_of(replayed(tmp_path, sink)) == done_of(replayed(tmp_path, sink)) == [0]


def test_a_torn_tail_is_cut_and_is_no_damage(tmp_path: Path) -> None:
    sink = ListSink()
    segment(tmp_path, 1, final(0), final(1)[:-10])
    replay = replayed(tmp_path, sink)
    assert (done_of(replay), replay.damaged) == ([0], 0)


def test_a_damaged_line_in_the_middle_is_reported_and_its_sample_runs_again(tmp_path: Path) -> None:
    sink = ListSink()
    damaged = final(1).replace(b'"ordinal":1', b'"ordinal":7')
    segment(tmp_path, 1, final(0), damaged, final(2))
    replay = replayed(tmp_path, sink)
    assert (done_of(replay), replay.damaged) == ([0, 2], 1)


def test_what_was_in_flight_may_have_been_billed_twice(tmp_path: Path) -> None:
    segment(tmp_path, 1, started(0), started(1), started(2), final(0), started(3), failed(1))
    segment(tmp_path, 2, started(2, 3), started(4), final(3))
    assert replayed(tmp_path, ListSink()).possibly_billed_twice == 2


def test_what_was_in_flight_is_counted_again_where_a_resume_ends_before_it_writes_anything(tmp_path: Path) -> None:
    segment(tmp_path, 1, started(0, 1, 2), final(1))
    for _ in range(3):
        sink = ListSink()
        assert replayed(tmp_path, sink).possibly_billed_twice == 2
    segment(tmp_path, Compactor(tmp_path, sink).next_number(), final(0), failed(2))
    assert replayed(tmp_path, sink).possibly_billed_twice == 0


def test_a_sample_that_is_final_in_the_end_is_final_only(tmp_path: Path) -> None:
    sink = ListSink()
    segment(tmp_path, 1, failed(0), failed(1), failed(2))
    segment(tmp_path, 2, final(1), failed(2))
    compactor = Compactor(tmp_path, sink)
    compactor.finish(compactor.replay(SIZE).done)
    assert sink.found == [1]
    assert [row["ordinal"] for row in sink.unresolved] == [0, 2]
    assert [row["ordinal"] for row in rows(tmp_path / "unresolved.log")] == [0, 2]


def test_of_a_sample_that_failed_twice_the_last_record_stands(tmp_path: Path) -> None:
    sink = ListSink()
    for number, message in enumerate(["first", "second"], start=1):
        segment(tmp_path, number, frame(a_record(5, "infra_failure", error_message=message)))
    Compactor(tmp_path, sink).finish(Bitmap(SIZE))
    assert [row["error_message"] for row in sink.unresolved] == ["second"]


def test_a_segment_of_failures_alone_makes_no_part(tmp_path: Path) -> None:
    sink = ListSink()
    segment(tmp_path, 1, failed(0))
    replayed(tmp_path, sink)
    assert sink.parts == {}
    segment(tmp_path, 1, final(1))
    assert done_of(replayed(tmp_path, sink)) == [1]


def test_a_torn_line_among_the_unresolved_does_not_swallow_the_next(tmp_path: Path) -> None:
    sink = ListSink()
    (tmp_path / "unresolved.log").write_bytes(failed(0) + failed(1)[:40])
    segment(tmp_path, 1, failed(1), failed(2))
    compactor = Compactor(tmp_path, sink)
    compactor.finish(compactor.replay(SIZE).done)
    assert [row["ordinal"] for row in sink.unresolved] == [0, 1, 2]


def test_how_long_a_record_took_to_the_disk_is_filled_in_from_the_mark_behind_it(tmp_path: Path) -> None:
    sink = ListSink()
    at_noon = 1767355200.0
    early = frame({"committed": at_noon - 5.0})
    segment(tmp_path, 1, final(0), final(1), frame({"committed": at_noon + 0.125}), final(2), early, final(3))
    replayed(tmp_path, sink)
    assert [row["write_s"] for row in sink.parts[1]] == [0.125, 0.125, None, None]


def test_a_journal_cut_off_anywhere_gives_a_prefix_and_never_an_exception(tmp_path: Path) -> None:
    def small(ordinal: int, outcome: str) -> bytes:
        return frame({"ordinal": ordinal, "outcome": outcome, "completed_at": "2026-01-02T12:00:00+00:00"})

    lines = [started(0, 1), small(0, "ok"), frame({"committed": 1.0}), small(1, "infra_failure"), small(2, "ok")]
    whole = b"".join(lines)
    behind = {ordinal: whole.index(small(ordinal, "ok")) + len(small(ordinal, "ok")) for ordinal in (0, 2)}
    for length in range(len(whole) + 1):
        folder, sink = tmp_path / str(length), ListSink()
        folder.mkdir()
        segment(folder, 1, whole[:length])
        replay = replayed(folder, sink)
        expected = [ordinal for ordinal, end in behind.items() if length >= end]
        assert (done_of(replay), sink.found, replay.damaged) == (expected, expected, 0)


def test_any_damaged_byte_costs_no_more_than_its_own_lines(tmp_path: Path) -> None:
    lines = [final(ordinal) for ordinal in range(3)]
    for position in range(0, len(lines[1]), 37):
        folder = tmp_path / str(position)
        folder.mkdir()
        broken = bytearray(lines[1])
        broken[position] ^= 0x10
        segment(folder, 1, lines[0], bytes(broken), lines[2])
        assert {0, 2} <= set(done_of(replayed(folder, ListSink())))


@pytest.mark.parametrize("content", [b"", b"{\n", b"[1]\n", b"{}\n"])
def test_results_that_are_damaged_stop_the_replay_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    segment(tmp_path, 1, final(0), final(1))
    replayed(tmp_path, JsonlSink(tmp_path))
    (tmp_path / "results.jsonl").write_bytes(content)
    with pytest.raises(StorageError, match="are damaged"):
        replayed(tmp_path, JsonlSink(tmp_path))


def test_no_number_of_failures_is_held_in_memory(tmp_path: Path) -> None:
    """30 MB of records that are not final, the last of each twice as long as the first."""
    journal, results = tmp_path / "journal", tmp_path / "results"
    journal.mkdir()
    results.mkdir()
    count, text = 1_000, "x" * 10_000
    for number in (1, 2):
        with (journal / f"{number:06d}.log").open("wb") as file:
            for ordinal in range(count):
                file.write(frame(a_record(ordinal, "infra_failure", error_message=number * text)))
                if ordinal % 100 == 0:
                    file.write(frame({"committed": 1.0}))
    compactor = Compactor(journal, JsonlSink(results))
    tracemalloc.start()
    try:
        compactor.finish(Bitmap(count))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    lines = (results / "unresolved.jsonl").read_bytes().splitlines()
    assert len(lines) == count
    assert all(len(line) > 2 * len(text) for line in lines)
    assert list(journal.glob("[0-9]*.log")) == []
    assert peak_bytes < 10_000_000
