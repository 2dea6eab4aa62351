"""Compaction of journal segments into results: final records become a part, the others go to `unresolved.log` for a resume.

Every step is idempotent: a part that exists is not written again, and a segment is deleted last.
"""

from __future__ import annotations

import os
from array import array
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import BinaryIO

import orjson

from providers.errors import StorageError
from providers.file_modes import as_its_folder

from ..durable import fsync_directory, is_of_disk, make_directory, replace_file, storing
from ..samples.bitmap import Bitmap
from ..samples.record import FINAL
from .frames import JournalRow, frame, read_lines, rows
from .kept_rows import KeptRows
from .sinks.sink import UNRESOLVED, Row, Sink

LONGEST_WRITE_S = 60.0
"""Longest plausible write time: a group is written within a second. A longer or negative time means that the wall clock was set."""


@dataclass(slots=True)
class Replay:
    """The state that a replay finds in a run directory."""

    done: Bitmap
    possibly_billed_twice: int = 0
    """Samples that were in flight when an earlier execution was killed."""
    damaged: int = 0
    """Lines whose checksum does not match; their samples are run again."""


class Compactor:
    """The compactor of one run directory's journal."""

    def __init__(self, folder: Path, sink: Sink) -> None:
        self._folder = folder
        self._sink = sink
        self._unresolved = folder / "unresolved.log"
        self.in_flight: frozenset[int] = frozenset()
        """Samples that earlier executions left in flight, known after `replay`: they stay marked until they have a record."""

    def next_number(self) -> int:
        """Return the number of the next segment; its part will have the same number."""
        return 1 + max([self._sink.last_part(), *(int(path.stem) for path in self._segments())])

    def replay(self, size: int) -> Replay:
        """Recover after a crash: cut torn lines, compact the segments and return which samples are done. Raises StorageError."""
        with storing(self._folder):
            replay = Replay(Bitmap(size))
            in_flight: set[int] = set()
            if self._unresolved.exists():
                replay.damaged += _survey(self._unresolved, set())
            segments = self._segments()
            for path in segments:
                replay.damaged += _survey(path, in_flight)
            if in_flight:  # before the segments with these marks are deleted: this execution may be killed, too
                self.mark(self.next_number(), in_flight)
            for path in segments:
                self.compact(int(path.stem))
            self._read_done(replay.done)
            self.in_flight = frozenset(ordinal for ordinal in in_flight if ordinal not in replay.done)
            replay.possibly_billed_twice = len(self.in_flight)
            return replay

    def mark(self, number: int, in_flight: Collection[int], **more: bool) -> None:
        """Write a segment that durably marks samples as in flight."""
        line = frame({"started": sorted(in_flight), **more})
        replace_file(self._segment(number), lambda file: file.write(line))

    def _read_done(self, done: Bitmap) -> None:
        try:
            done.add_all(self._sink.ordinals())
        except (ValueError, LookupError, TypeError, OSError) as error:  # Arrow's errors are among them
            if isinstance(error, OSError) and is_of_disk(error):
                raise
            message = f"the results beside {self._folder} are damaged ({error}); restore them from a copy, or resume with --repair"
            raise StorageError(message) from error

    def repair(self, parts: Collection[int], size: int) -> list[Path]:
        """Replace damaged parts by what can be read of them. Returns the damaged files, which are kept."""
        with storing(self._folder):
            known = Bitmap(size)
            for batch in self._sink.examine(["ordinal"]):
                if batch.part not in {UNRESOLVED, *parts}:
                    for (ordinal,) in batch.rows:
                        if isinstance(ordinal, int):
                            known.add(ordinal)
            return self._sink.repair(parts, known)

    def withdraw(self, folder: Path, is_superseded: Callable[[Row], bool], rebook: Callable[[Row], Row]) -> list[int]:
        """Move final records to `folder` unchanged and make them unresolved, as `rebook` rewrites them. Returns their ordinals."""
        withdrawn: list[int] = []

        def keep(number: int, superseded: Sequence[Row]) -> None:
            path = _free_name(folder, number)
            lines = [orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in superseded]
            replace_file(path, lambda file: file.writelines(lines))
            with open(self._unresolved, "ab", opener=as_its_folder) as unresolved:
                unresolved.writelines(frame(rebook(row)) for row in superseded)
                unresolved.flush()
                os.fsync(unresolved.fileno())
            fsync_directory(self._folder)
            withdrawn.extend(int(str(row["ordinal"])) for row in superseded)

        with storing(self._folder):
            make_directory(folder)
            self._sink.withdraw(is_superseded, keep)
        return withdrawn

    def compact(self, number: int, kept: KeptRows | None = None) -> None:
        """Turn a sealed segment into a part, then delete it. `kept` may hold its rows in memory.

        A segment that a power loss brings back is compacted again, which changes nothing.
        """
        self._store(number, kept)
        self._segment(number).unlink()

    def _store(self, number: int, kept: KeptRows | None) -> None:
        """Write the final rows to the part and the others to `unresolved.log`, as streams that hold no further rows in memory."""
        with open(self._unresolved, "ab", opener=as_its_folder) as unresolved:
            final = _final(_records(self._rows(number, kept)), number, unresolved)
            if number > self._sink.last_part() and (first := next(final, None)):
                self._sink.write_part(number, chain([first], final))
            deque(final, maxlen=0)  # where the part existed, the rows that are not final are still to be written
            unresolved.flush()
            os.fsync(unresolved.fileno())
        fsync_directory(self._folder)

    def _rows(self, number: int, kept: KeptRows | None) -> Iterable[JournalRow]:
        """Return the rows of a segment: the kept ones, or where they are incomplete those of its file."""
        if kept is not None and kept.number == number and kept.is_complete:
            return kept
        return rows(self._segment(number))

    def finish(
        self, done: Bitmap, before_deletion: Callable[[], None] = lambda: None, kept: KeptRows | None = None
    ) -> None:
        """Compact all segments and write the unresolved records as results. Segments are deleted last: while one exists, these may be old.

        `before_deletion` writes what the next execution needs of the segments besides their records. `kept` may hold
        the rows of the newest segment in memory.
        """
        segments = self._segments()
        for path in segments:
            self._store(int(path.stem), kept)
        self._sink.write_unresolved(self.unresolved(done))
        replace_file(self._unresolved, lambda file: file.writelines(map(frame, self.unresolved(done))))
        before_deletion()
        for path in segments:
            path.unlink()
        fsync_directory(self._folder)

    def unresolved(self, done: Bitmap) -> Iterator[JournalRow]:
        """Yield the last record of every sample that has no final one. It uses eight bytes of memory per sample."""
        if not self._unresolved.exists():
            return
        last = array("Q", bytes(8 * done.size))
        for line in read_lines(self._unresolved):
            if line.value is not None and "ordinal" in line.value:
                last[line.value["ordinal"]] = line.end
        for line in read_lines(self._unresolved):
            row = line.value
            if row is not None and "ordinal" in row and last[row["ordinal"]] == line.end and row["ordinal"] not in done:
                yield row

    def _segments(self) -> list[Path]:
        return sorted(self._folder.glob(f"{6 * '[0-9]'}.log"))

    def _segment(self, number: int) -> Path:
        return self._folder / f"{number:06d}.log"


def _free_name(folder: Path, number: int) -> Path:
    """Return a free path for the superseded rows of a part, so that no file is overwritten."""
    names = (folder / f"part-{number:06d}.{turn}.jsonl" for turn in count(1))
    return next(name for name in names if not name.exists())


def _survey(path: Path, in_flight: set[int]) -> int:
    """Update `in_flight` by the marks and records of a segment, cut a torn last line, and return the number of damaged lines."""
    damaged, end = 0, 0
    for line in read_lines(path):
        if line.is_torn:
            os.truncate(path, end)
            break
        end = line.end
        damaged += line.value is None
        _follow(line.value or {}, in_flight)
    return damaged


def _follow(value: JournalRow, in_flight: set[int]) -> None:
    if "started" in value:
        in_flight.update(value["started"])
    elif "ordinal" in value:
        in_flight.discard(value["ordinal"])


def _final(records: Iterable[JournalRow], number: int, unresolved: BinaryIO) -> Iterator[JournalRow]:
    """Yield the final records; write the others, which a resume runs again, to `unresolved`, after the number of their segment."""
    mark = frame({"segment": number})
    for record in records:
        if record["outcome"] in FINAL:
            yield record
        else:
            unresolved.write(mark + frame(record))
            mark = b""


def _records(segment: Iterable[JournalRow]) -> Iterator[JournalRow]:
    """Yield a segment's records with their write times, which follow from the commit mark after each group."""
    pending: list[JournalRow] = []
    for row in segment:
        if "ordinal" in row:
            pending.append(row)
        elif "committed" in row:
            yield from (_written(record, row["committed"]) for record in pending)
            pending.clear()
    yield from pending


def _written(record: JournalRow, committed_at: float) -> JournalRow:
    late_s = committed_at - datetime.fromisoformat(record["completed_at"]).timestamp()
    record["write_s"] = late_s if 0 <= late_s < LONGEST_WRITE_S else None
    return record
