"""The journal: every record is on disk before it is counted.

Appending never waits. Lines are committed in groups, with one write and one fsync, after at most 250 ms, 256 records or 4 MB, on a separate
thread. A segment that is full (in records or in bytes) is sealed and compacted into a result part on another thread while commits continue;
the segment is deleted only when the part is durable. One compaction runs at a time: if a second segment fills up meanwhile, commits and
finally the workers wait.

    journal/000001.log          segments: records, and marks of what was sent (`started`)
    journal/unresolved.log      records that are not final, last one wins; before those of a segment, its number
    journal/spending.log        what may have been spent (`spending_log.py`)
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from ..durable import make_directory, storage_error, storing
from ..samples.bitmap import Bitmap
from ..samples.record import FINAL, Record
from .commit_group import CommitGroup
from .compaction import Compactor
from .kept_rows import KeptRows
from .segment_file import SegmentFile
from .spending_log import SpendingLog

log = logging.getLogger(__name__)

COMMIT_AFTER_S = 0.25
SEGMENT_BYTES = 16 << 20
"""Size at which a segment is full before it has its number of records: two segments are in memory at most, an open and a sealed one."""
CLOSE_WITHIN_S = 600.0
"""Time limit of the last commit and compaction; after it the disk counts as dead."""
CLOSED = "closed"
"""Key in the mark of an execution that was closed, not killed."""


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
        spending_log: SpendingLog | None = None,
        close_within_s: float = CLOSE_WITHIN_S,
    ) -> None:
        self.done = done
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._folder = folder
        self._compactor = compactor
        self._segment_records = segment_records
        self._close_within_s = close_within_s
        self._spending_log = spending_log
        self._in_flight: set[int] = set()
        self._in_flight_before = set(compactor.in_flight)
        self._group = CommitGroup()
        self._commits = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._compactions = ThreadPoolExecutor(1, thread_name_prefix="compaction")
        with storing(folder):
            make_directory(folder)
            self._segment = SegmentFile(
                folder, max(compactor.next_number(), spending_log.next_segment if spending_log else 0)
            )
        self._kept = KeptRows(self._segment.number)
        self._compacting: asyncio.Task[None] | None = None
        self._committing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._in_segment = 0

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
        await _off_loop(self._commits, self._segment.write, group)
        self._kept.add(group.records, group.size, self._segment.committed_at)
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

    async def _roll(self) -> None:
        """Begin the next segment; the last one is compacted while commits continue."""
        if self._compacting is not None:
            await asyncio.wait([self._compacting])
        if self.failed.done():
            return
        unsettled = self._unsettled.union(
            record.ordinal for record in self._group.records
        )  # their records are not durable yet
        await _off_loop(self._commits, self._segment.begin_next, sorted(unsettled))
        sealed, self._kept = self._kept, KeptRows(self._segment.number)
        self._in_segment = 0
        self._compacting = asyncio.create_task(self._compact(sealed), name="journal-compaction")

    async def _compact(self, sealed: KeptRows) -> None:
        try:
            await _off_loop(self._compactions, self._compactor.compact, sealed.number, sealed)
        except Exception as error:  # noqa: BLE001 - reported by `failed`, whether it is a bug or a full disk
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._room.set()
        if not self.failed.done():
            self.failed.set_exception(storage_error(self._folder, error) if isinstance(error, OSError) else error)

    async def _close(self) -> None:
        """Commit, compact and close within the time limit. If the disk does not answer, its file and thread are abandoned."""
        try:
            async with asyncio.timeout(self._close_within_s):
                await self._finish()
            self._segment.close()
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
            self._segment.seal()
            if self._spending_log is not None:
                await _off_loop(self._compactions, self._spending_log.settle_execution, self._segment.number)
            await _off_loop(self._compactions, self._compactor.finish, self.done, self._leave_marks, self._kept)
        except OSError as error:
            self._fail(error)

    def _leave_marks(self) -> None:
        """Mark the samples that were cancelled in flight: they may have been billed, and a resume counts them."""
        if self._unsettled:
            self._compactor.mark(self._segment.number + 1, self._unsettled, **{CLOSED: True})


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
