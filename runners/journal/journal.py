"""The journal: every record is on disk before it is counted.

Appending never waits. Lines are committed in groups, with one write and one fsync, after at most 250 ms, 256 records or 4 MB, on a separate
thread. A segment that is full (in records or in bytes) is sealed and compacted into a result part on another thread while commits continue;
the segment is deleted only when the part is durable. One compaction runs at a time: if a second segment fills up meanwhile, commits and
finally the workers wait.

    journal/000001.log          segments: records, and marks of what was sent (`started`)
    journal/unresolved.log      records that are not final, last one wins
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from ..durable import fsync_directory, storage_error, storing
from ..samples.bitmap import Bitmap
from ..samples.record import FINAL, Record
from .compaction import Compactor
from .frames import frame, frame_record, line_size
from .kept_rows import KeptRows

log = logging.getLogger(__name__)

COMMIT_AFTER_S = 0.25
COMMIT_RECORDS = 256
COMMIT_BYTES = 4 << 20
"""Size of a group that is committed before it has COMMIT_RECORDS."""
BACKLOG_RECORDS = 4_096
BACKLOG_BYTES = 8 << 20
"""Uncommitted records, or their size, at which the workers wait for the disk: more than is committed at once."""
PIECE_BYTES = 1 << 20
"""Bytes that are encoded and written at once."""
SEGMENT_BYTES = 16 << 20
"""Size at which a segment is full before it has its number of records: two segments are in memory at most, an open and a sealed one."""
CLOSE_WITHIN_S = 600.0
"""Time limit of the last commit and compaction; after it the disk counts as dead."""
CLOSED = "closed"
"""Key in the mark of an execution that was closed, not killed."""


@dataclass(slots=True)
class _Group:
    """Records that are committed together, and the callbacks to call then. They are encoded where they are written, one piece at a time."""

    records: list[Record] = field(default_factory=list)
    size: int = 0
    """About the bytes of their lines."""
    started: list[int] = field(default_factory=list)
    durable: list[Callable[[], None]] = field(default_factory=list)
    """What to call when the records are on disk."""

    def __bool__(self) -> bool:
        return bool(self.records or self.started)

    @property
    def is_full(self) -> bool:
        """Return whether the group is large enough to be committed at once."""
        return len(self.records) >= COMMIT_RECORDS or self.size >= COMMIT_BYTES

    @property
    def is_backlog(self) -> bool:
        """Return whether the group is so large that the workers wait for the disk."""
        return len(self.records) >= BACKLOG_RECORDS or self.size >= BACKLOG_BYTES

    def add(self, record: Record, on_durable: Callable[[], None]) -> bool:
        """Add a record; return whether the group is large enough to be committed at once."""
        self.records.append(record)
        self.durable.append(on_durable)
        self.size += line_size(record)
        return len(self.records) >= COMMIT_RECORDS or self.size >= COMMIT_BYTES

    def take(self) -> _Group:
        """Take what is committed at once out of the group: all, or of long records the first COMMIT_BYTES."""
        taken = _Group(started=self.started)
        self.started = []
        if self.size < 2 * COMMIT_BYTES:
            taken.records, taken.durable, taken.size = self.records, self.durable, self.size
            self.records, self.durable, self.size = [], [], 0
            return taken
        count = 0
        while taken.size < COMMIT_BYTES:
            taken.size += line_size(self.records[count])
            count += 1
        taken.records, taken.durable = self.records[:count], self.durable[:count]
        del self.records[:count], self.durable[:count]
        self.size -= taken.size
        return taken


class Journal:
    """The journal of a run, an async context manager: exit commits, compacts and closes. One writer per run directory.

    `failed` gets a StorageError when a write fails; everything committed before stays readable. Opening raises StorageError.
    """

    def __init__(
        self,
        folder: Path,
        compactor: Compactor,
        done: Bitmap,
        *,
        segment_records: int,
        close_within_s: float = CLOSE_WITHIN_S,
    ) -> None:
        self.done = done
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._folder = folder
        self._compactor = compactor
        self._segment_records = segment_records
        self._close_within_s = close_within_s
        self._in_flight: set[int] = set()
        self._in_flight_before = set(compactor.in_flight)
        self._group = _Group()
        self._commits = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._compactions = ThreadPoolExecutor(1, thread_name_prefix="compaction")
        with storing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._number = compactor.next_number()
            self._file = self._open_segment()
        self._kept = KeptRows(self._number)
        self._compacting: asyncio.Task[None] | None = None
        self._committing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._in_segment = 0
        self._mark = b""
        self._committed_at = 0.0

    async def __aenter__(self) -> Journal:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await _finished(self._close())
        failure = None if self.failed.cancelled() else self.failed.exception()
        if failure is not None and error is None:
            raise failure
        if failure is not None and not _contains(error, failure):  # the error being raised takes precedence
            log.warning("the journal could not be closed either: %s", failure)

    def started(self, ordinal: int) -> None:
        """Note that a request of this sample is about to be sent. The note is committed with the next group, so a crash may lose it."""
        self._in_flight.add(ordinal)
        self._group.started.append(ordinal)
        if self._timer is None:
            self._commit_later()

    def unbilled(self, ordinal: int) -> None:
        """Note that a sample is no longer in flight: its requests were all refused and it gets no record."""
        self._in_flight.discard(ordinal)

    def append(self, record: Record, on_durable: Callable[[], None]) -> None:
        """Add a record without waiting; `on_durable` is called when it is on disk."""
        group = self._group
        is_full = group.add(record, on_durable)
        self._in_flight.discard(record.ordinal)
        if self._in_flight_before:
            self._in_flight_before.discard(record.ordinal)
        if record.outcome in FINAL:
            self.done.add(record.ordinal)
        if not is_full:
            if self._timer is None:
                self._commit_later()
            return
        self._commit_soon()
        if group.is_backlog and not self.failed.done():
            self._room.clear()

    @property
    def _unsettled(self) -> set[int]:
        """Samples of this or an earlier execution that may have been billed and have no record."""
        return self._in_flight | self._in_flight_before

    async def room(self) -> None:
        """Wait while too many records are uncommitted."""
        if not self._room.is_set():
            await self._room.wait()

    async def flush(self) -> None:
        """Wait until everything appended so far is durable and counted, or a write has failed."""
        self._commit_soon()
        while self._committing is not None:
            await asyncio.wait([self._committing])
            if self._group:
                self._commit_soon()

    async def watch(self) -> None:
        """Wait until it is cancelled; raise StorageError when a write fails."""
        await asyncio.shield(self.failed)

    def _commit_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(COMMIT_AFTER_S, self._commit_soon)

    def _commit_soon(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._committing is None and not self.failed.done():
            self._committing = asyncio.get_running_loop().create_task(self._commit(), name="journal-commit")
            self._committing.add_done_callback(self._committed)

    async def _commit(self) -> None:
        if not self._group:
            return
        group = self._group.take()
        await _off_loop(self._commits, self._write, group)
        self._kept.add(group.records, group.size, self._committed_at)
        self._in_segment += len(group.records)
        for on_durable in group.durable:
            on_durable()
        del group  # a roll may wait for a compaction
        if self._in_segment >= self._segment_records or self._kept.size >= SEGMENT_BYTES:
            await self._roll()

    def _committed(self, commit: asyncio.Task[None]) -> None:
        """Start the next commit if its group is full, or if its timer fired during this commit."""
        self._committing = None
        if not self._group.is_backlog:
            self._room.set()
        if commit.cancelled():  # together with the whole loop
            return
        error = commit.exception()
        if error is not None:
            self._fail(error)
        elif self._group.is_full or (self._group and self._timer is None):
            self._commit_soon()

    def _write(self, group: _Group) -> None:
        """Write and sync; the mark with the commit time is written with the next group."""
        start = os.fstat(self._file).st_size
        try:
            group.size = self._write_lines(group)
            os.fsync(self._file)
        except OSError:
            with suppress(OSError):  # otherwise a torn line remains, which a replay cuts
                os.ftruncate(self._file, start)
            raise
        self._committed_at = time.time()
        self._mark = frame({"committed": self._committed_at})

    def _write_lines(self, group: _Group) -> int:
        """Write the marks, then the records in pieces, and put into the group what was written. Returns the bytes of the lines.

        The mark of the started samples comes first, as their records may be in the same group.
        """
        piece, size, total = [self._mark], 0, 0
        if group.started:
            piece.append(frame({"started": group.started}))
        for number, record in enumerate(group.records):
            line, group.records[number] = frame_record(record)
            piece.append(line)
            size += len(line)
            if size >= PIECE_BYTES:
                _write_all(self._file, b"".join(piece))
                piece, size, total = [], 0, total + size
        _write_all(self._file, b"".join(piece))
        return total + size

    def _seal(self) -> None:
        _write_all(self._file, self._mark)
        self._mark = b""

    async def _roll(self) -> None:
        """Begin the next segment; the last one is compacted while commits continue."""
        if self._compacting is not None:
            await asyncio.wait([self._compacting])
        if self.failed.done():
            return
        unsettled = self._unsettled.union(
            record.ordinal for record in self._group.records
        )  # their records are not durable yet
        await _off_loop(self._commits, self._begin_segment, sorted(unsettled))
        sealed, self._kept = self._kept, KeptRows(self._number)
        self._in_segment = 0
        self._compacting = asyncio.create_task(self._compact(sealed), name="journal-compaction")

    def _begin_segment(self, in_flight: list[int]) -> None:
        """Seal the segment and open the next; the marks of the samples in flight are repeated there."""
        self._seal()
        full = self._file
        self._number += 1
        self._file = self._open_segment()
        os.close(full)
        _write_all(self._file, frame({"started": in_flight}))
        os.fsync(self._file)

    async def _compact(self, sealed: KeptRows) -> None:
        try:
            await _off_loop(self._compactions, self._compactor.compact, sealed.number, sealed)
        except Exception as error:  # noqa: BLE001 - reported by `failed`, whether it is a bug or a full disk
            self._fail(error)

    def _open_segment(self) -> int:
        descriptor = os.open(self._folder / f"{self._number:06d}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        fsync_directory(self._folder)
        return descriptor

    def _fail(self, error: BaseException) -> None:
        self._room.set()
        if not self.failed.done():
            self.failed.set_exception(storage_error(self._folder, error) if isinstance(error, OSError) else error)

    async def _close(self) -> None:
        """Commit, compact and close within the time limit. If the disk does not answer, its file and thread are abandoned."""
        try:
            async with asyncio.timeout(self._close_within_s):
                await self._finish()
            os.close(self._file)
        except TimeoutError:
            self._fail(OSError(errno.ETIMEDOUT, f"no answer in {self._close_within_s:g} s"))
        finally:
            self._commits.shutdown(wait=False)
            self._compactions.shutdown(wait=False)
            self.failed.cancel()

    async def _finish(self) -> None:
        """Commit and compact everything, unless a write has failed: then the segments stay, and a resume compacts them."""
        await self.flush()
        if self._compacting is not None:
            await asyncio.wait([self._compacting])
        if self.failed.done():
            return
        try:
            self._seal()
            await _off_loop(self._compactions, self._compactor.finish, self.done, self._leave_marks, self._kept)
        except OSError as error:
            self._fail(error)

    def _leave_marks(self) -> None:
        """Mark the samples that were cancelled in flight: they may have been billed, and a resume counts them."""
        if self._unsettled:
            self._compactor.mark(self._number + 1, self._unsettled, **{CLOSED: True})


def _contains(error: BaseException | None, failure: BaseException) -> bool:
    """Return whether `error` is the failure or a group that contains it, because `watch` has raised it."""
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(lambda member: member is failure) is not None
    return error is failure


async def _finished(last: Coroutine[object, object, None]) -> None:
    """Wait for `last` even if this task is cancelled, any number of times: the next execution must find the journal closed."""
    closing, cancelled = asyncio.ensure_future(last), False
    while not closing.done():
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    closing.result()


async def _off_loop(thread: ThreadPoolExecutor, work: Callable[..., None], *args: object) -> None:
    await asyncio.get_running_loop().run_in_executor(thread, work, *args)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
