"""The journal: every record is here, on disk, before anything counts it.

Appending never waits. Lines are committed in groups, one write and one fsync at most 250 ms or 256 records late, on a thread of
its own. A full segment is sealed and compacted into a result part on another, beside the commits; the segment is deleted only when the
part is durable. One compaction goes on at a time: a second segment that fills up meanwhile waits, and with it, in the end, the workers.

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
from .frames import frame

log = logging.getLogger(__name__)

COMMIT_AFTER_S = 0.25
COMMIT_RECORDS = 256
SEGMENT_RECORDS = 20_000
BACKLOG_RECORDS = 4_096
"""Uncommitted records at which workers wait for the disk."""
CLOSE_WITHIN_S = 600.0
"""For the last commit and compaction; longer means that the disk does not answer any more."""
CLOSED = "closed"
"""Key of the mark that an execution leaves which came to its end."""


@dataclass(slots=True)
class _Group:
    """Lines that are committed together, and who counts them then."""

    lines: list[bytes] = field(default_factory=list)
    started: list[int] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    on_durable: list[Callable[[], None]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.lines or self.started)

    def framed(self) -> list[bytes]:
        """What was sent comes first: its record may be in the same group."""
        return [frame({"started": self.started}), *self.lines] if self.started else self.lines


class Journal:
    """`async with Journal(...)`: leaving commits, compacts and closes. One writer per run directory.

    `failed` is set to a StorageError when the disk refuses; everything committed before stays readable. Opening raises one.
    """

    def __init__(
        self,
        folder: Path,
        compactor: Compactor,
        done: Bitmap,
        *,
        segment_records: int = SEGMENT_RECORDS,
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
        self._compacting: asyncio.Task[None] | None = None
        self._committing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._in_segment = 0
        self._mark = b""

    async def __aenter__(self) -> Journal:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await _finished(self._close())
        failure = None if self.failed.cancelled() else self.failed.exception()
        if failure is not None and error is None:
            raise failure
        if failure is not None and not _tells(
            error, failure
        ):  # what is under way comes first, and this is not lost over it
            log.warning("the journal could not be closed either: %s", failure)

    def started(self, ordinal: int) -> None:
        """Note that a request of this sample is about to be sent; committed with the next group, so it may be lost."""
        self._in_flight.add(ordinal)
        self._group.started.append(ordinal)
        self._commit_later()

    def unbilled(self, ordinal: int) -> None:
        """Whatever was sent of this sample was refused, and no record will come: it is not in flight any more."""
        self._in_flight.discard(ordinal)

    def append(self, record: Record, on_durable: Callable[[], None]) -> None:
        """Returns at once; `on_durable` is called when the record can no longer be lost."""
        group = self._group
        group.lines.append(frame(record))
        group.on_durable.append(on_durable)
        group.answered.append(record.ordinal)
        self._in_flight.discard(record.ordinal)
        self._in_flight_before.discard(record.ordinal)
        if record.outcome in FINAL:
            self.done.add(record.ordinal)
        if len(group.on_durable) >= COMMIT_RECORDS:
            self._commit_soon()
        else:
            self._commit_later()
        if len(group.on_durable) >= BACKLOG_RECORDS and not self.failed.done():
            self._room.clear()

    @property
    def _unsettled(self) -> set[int]:
        """What may have been billed and has no record, in this execution or one before."""
        return self._in_flight | self._in_flight_before

    async def room(self) -> None:
        """Wait while the disk is behind."""
        if not self._room.is_set():
            await self._room.wait()

    async def flush(self) -> None:
        """Wait until everything appended so far is durable and counted, or the disk has refused."""
        self._commit_soon()
        while self._committing is not None:
            await asyncio.wait([self._committing])
            if self._group:
                self._commit_soon()

    async def watch(self) -> None:
        """Raises StorageError when the disk refuses; otherwise waits until it is cancelled."""
        await asyncio.shield(self.failed)

    def _commit_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(COMMIT_AFTER_S, self._commit_soon)

    def _commit_soon(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._committing is None and not self.failed.done():
            self._committing = asyncio.get_running_loop().create_task(self._commit(), name="journal-commit")
            self._committing.add_done_callback(self._committed)

    async def _commit(self) -> None:
        group, self._group = self._group, _Group()
        if not group:
            return
        await _off_loop(self._commits, self._write, group.framed())
        self._in_segment += len(group.on_durable)
        for count in group.on_durable:
            count()
        if self._in_segment >= self._segment_records:
            await self._roll()

    def _committed(self, commit: asyncio.Task[None]) -> None:
        """Start the next group where it is full, or where its timer has come while this one was on its way."""
        self._committing = None
        self._room.set()
        if commit.cancelled():  # with the whole loop
            return
        error = commit.exception()
        if error is not None:
            self._fail(error)
        elif len(self._group.on_durable) >= COMMIT_RECORDS or (self._group and self._timer is None):
            self._commit_soon()

    def _write(self, lines: list[bytes]) -> None:
        """Write and fsync; the mark of when it was durable goes out with the group after it."""
        start = os.fstat(self._file).st_size
        try:
            _write_all(self._file, b"".join([self._mark, *lines]))
            os.fsync(self._file)
        except OSError:
            with suppress(OSError):  # what stays is a torn tail, which a replay cuts
                os.ftruncate(self._file, start)
            raise
        self._mark = frame({"committed": time.time()})

    def _seal(self) -> None:
        _write_all(self._file, self._mark)
        self._mark = b""

    async def _roll(self) -> None:
        """Begin the next segment; the last is compacted while commits go on."""
        if self._compacting is not None:
            await asyncio.wait([self._compacting])
        if self.failed.done():
            return
        sealed = self._number
        unsettled = self._unsettled.union(self._group.answered)  # not durable yet: a kill would lose their records
        await _off_loop(self._commits, self._begin_segment, sorted(unsettled))
        self._in_segment = 0
        self._compacting = asyncio.create_task(self._compact(sealed), name="journal-compaction")

    def _begin_segment(self, in_flight: list[int]) -> None:
        """Seal the segment; the marks of what is in flight move on to the next."""
        self._seal()
        full = self._file
        self._number += 1
        self._file = self._open_segment()
        os.close(full)
        _write_all(self._file, frame({"started": in_flight}))
        os.fsync(self._file)

    async def _compact(self, number: int) -> None:
        try:
            await _off_loop(self._compactions, self._compactor.compact, number)
        except Exception as error:  # noqa: BLE001 - told by `failed`, a bug as loudly as a full disk
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
        """Bounded: a disk that does not answer keeps its file and its thread, and the run ends without them."""
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
        """Whatever the disk has refused before stays in the journal: a resume compacts it."""
        await self.flush()
        if self._compacting is not None:
            await asyncio.wait([self._compacting])
        if self.failed.done():
            return
        try:
            self._seal()
            await _off_loop(self._compactions, self._compactor.finish, self.done, self._leave_marks)
        except OSError as error:
            self._fail(error)

    def _leave_marks(self) -> None:
        """What was cancelled on its way may have been billed: a resume counts it."""
        if self._unsettled:
            self._compactor.mark(self._number + 1, self._unsettled, **{CLOSED: True})


def _tells(error: BaseException | None, failure: BaseException) -> bool:
    """Whether `error` is the failure itself, or a group that holds it: the watch has raised it."""
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(lambda one: one is failure) is not None
    return error is failure


async def _finished(last: Coroutine[object, object, None]) -> None:
    """Wait for it also where this task is cancelled meanwhile, however often: whoever takes the run up next must find it closed."""
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
