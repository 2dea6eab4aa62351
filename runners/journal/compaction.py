"""From journal segments to results: final records become a part, the others wait in `unresolved.log` for a resume.

Every step can be done twice: a part that exists is not written again, a segment is deleted last.
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
from typing import Any, BinaryIO

import orjson

from providers.errors import StorageError

from ..durable import fsync_directory, replace_file, storing
from ..samples.bitmap import Bitmap
from ..samples.record import FINAL
from .frames import frame, read_lines, rows
from .sinks.sink import UNRESOLVED, Row, Sink

LONGEST_WRITE_S = 60.0
"""A group is written within a second: whatever seems to have taken longer, or less than nothing, saw the wall clock being set."""


@dataclass(slots=True)
class Replay:
    """What a run directory holds already."""

    done: Bitmap
    possibly_billed_twice: int = 0
    """Samples that were in flight when the run before was killed."""
    damaged: int = 0
    """Lines whose checksum did not fit; their samples are run again."""


class Compactor:
    def __init__(self, folder: Path, sink: Sink) -> None:
        self._folder = folder
        self._sink = sink
        self._unresolved = folder / "unresolved.log"
        self.in_flight: frozenset[int] = frozenset()
        """What the executions before left on its way, once they are replayed: marked until a record comes."""

    def next_number(self) -> int:
        """Of the next segment; its part will have the same."""
        return 1 + max([self._sink.last_part(), *(int(path.stem) for path in self._segments())])

    def replay(self, size: int) -> Replay:
        """Recover what a crash left: finish what was sealed, cut torn tails, and say what is done. Raises StorageError."""
        with storing(self._folder):
            found = Replay(Bitmap(size))
            in_flight: set[int] = set()
            if self._unresolved.exists():
                found.damaged += _survey(self._unresolved, set())
            segments = self._segments()
            for path in segments:
                found.damaged += _survey(path, in_flight)
            if in_flight:  # before the segments that say so are deleted: this execution may end early, too
                self.mark(self.next_number(), in_flight)
            for path in segments:
                self.compact(int(path.stem))
            self._read_done(found.done)
            self.in_flight = frozenset(in_flight)
            found.possibly_billed_twice = len(in_flight)
            return found

    def mark(self, number: int, in_flight: Collection[int], **more: bool) -> None:
        """A segment of its own says durably what is on its way."""
        line = frame({"started": sorted(in_flight), **more})
        replace_file(self._segment(number), lambda file: file.write(line))

    def _read_done(self, done: Bitmap) -> None:
        try:
            for ordinal in self._sink.ordinals():
                done.add(ordinal)
        except (ValueError, LookupError, TypeError, OSError) as error:  # Arrow's errors are among them
            message = f"the results beside {self._folder} are damaged ({error}); restore them from a copy, or resume with --repair"
            raise StorageError(message) from error

    def repair(self, parts: Collection[int], size: int) -> list[Path]:
        """Set damaged parts aside, and write anew what can be read of them. Returns the files that were set aside."""
        with storing(self._folder):
            known = Bitmap(size)
            for batch in self._sink.examine(["ordinal"]):
                if batch.part not in {UNRESOLVED, *parts}:
                    for (ordinal,) in batch.rows:
                        known.add(ordinal)
            return self._sink.repair(parts, known)

    def withdraw(self, folder: Path, is_superseded: Callable[[Row], bool], rebook: Callable[[Row], Row]) -> list[int]:
        """Take final records back: they go to `folder` as they were, and are unresolved as `rebook` writes them. Returns their ordinals."""
        withdrawn: list[int] = []

        def keep(number: int, superseded: Sequence[Row]) -> None:
            path = _free_name(folder, number)
            lines = [orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in superseded]
            replace_file(path, lambda file: file.writelines(lines))
            with self._unresolved.open("ab") as aside:
                aside.writelines(frame(rebook(row)) for row in superseded)
                aside.flush()
                os.fsync(aside.fileno())
            fsync_directory(self._folder)
            withdrawn.extend(row["ordinal"] for row in superseded)

        with storing(self._folder):
            folder.mkdir(exist_ok=True)
            self._sink.withdraw(is_superseded, keep)
        return withdrawn

    def compact(self, number: int) -> None:
        """Turn a sealed segment into a part, then delete it."""
        self._store(number)
        self._segment(number).unlink()
        fsync_directory(self._folder)

    def _store(self, number: int) -> None:
        """Final rows stream into the part, the others into `unresolved.log`: none are held."""
        with self._unresolved.open("ab") as aside:
            final = _final(_records(self._segment(number)), aside)
            if number > self._sink.last_part() and (first := next(final, None)):
                self._sink.write_part(number, chain([first], final))
            deque(final, maxlen=0)  # where the part was there already, the others are still to be found
            aside.flush()
            os.fsync(aside.fileno())
        fsync_directory(self._folder)

    def finish(self, done: Bitmap, before_deletion: Callable[[], None] = lambda: None) -> None:
        """Compact everything and show what is unresolved. The last segment goes last: while there is one, what is shown may be old.

        `before_deletion` writes what the next execution needs of the segments beside their records.
        """
        segments = self._segments()
        for path in segments:
            self._store(int(path.stem))
        self._sink.write_unresolved(self.unresolved(done))
        replace_file(self._unresolved, lambda file: file.writelines(map(frame, self.unresolved(done))))
        before_deletion()
        for path in segments:
            path.unlink()
        fsync_directory(self._folder)

    def unresolved(self, done: Bitmap) -> Iterator[Row]:
        """The last record of every sample that has none that is final; eight bytes a sample while it lasts."""
        if not self._unresolved.exists():
            return
        last = array("Q", bytes(8 * done.size))
        for line in read_lines(self._unresolved):
            if line.value is not None:
                last[line.value["ordinal"]] = line.end
        for line in read_lines(self._unresolved):
            if line.value is not None and last[line.value["ordinal"]] == line.end and line.value["ordinal"] not in done:
                yield line.value

    def _segments(self) -> list[Path]:
        return sorted(self._folder.glob(f"{6 * '[0-9]'}.log"))

    def _segment(self, number: int) -> Path:
        return self._folder / f"{number:06d}.log"


def _free_name(folder: Path, number: int) -> Path:
    """Of the superseded rows of a part: nothing is ever written over."""
    names = (folder / f"part-{number:06d}.{turn}.jsonl" for turn in count(1))
    return next(name for name in names if not name.exists())


def _survey(path: Path, in_flight: set[int]) -> int:
    """Follow what was sent and what was answered, cut a torn last line; returns how many lines are damaged."""
    damaged, end = 0, 0
    for line in read_lines(path):
        if line.is_torn:
            os.truncate(path, end)
            break
        end = line.end
        damaged += line.value is None
        _follow(line.value or {}, in_flight)
    return damaged


def _follow(value: dict[str, Any], in_flight: set[int]) -> None:
    if "started" in value:
        in_flight.update(value["started"])
    elif "ordinal" in value:
        in_flight.discard(value["ordinal"])


def _final(records: Iterable[Row], aside: BinaryIO) -> Iterator[Row]:
    """The final ones; those that a resume runs again are written `aside` as they are met."""
    for record in records:
        if record["outcome"] in FINAL:
            yield record
        else:
            aside.write(frame(record))


def _records(segment: Path) -> Iterator[Row]:
    """A segment's records; each learns from the commit mark behind it how long it took to reach the disk."""
    pending: list[dict[str, Any]] = []
    for row in rows(segment):
        if "ordinal" in row:
            pending.append(row)
        elif "committed" in row:
            yield from (_written(record, row["committed"]) for record in pending)
            pending.clear()
    yield from pending


def _written(record: dict[str, Any], committed_at: float) -> Row:
    late_s = committed_at - datetime.fromisoformat(record["completed_at"]).timestamp()
    record["write_s"] = late_s if 0 <= late_s < LONGEST_WRITE_S else None
    return record
