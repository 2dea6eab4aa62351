"""The open segment of the journal: groups of records are written to it, each with one sync."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from providers.file_modes import as_its_folder

from ..durable import fsync_directory
from .commit_group import CommitGroup
from .frames import frame, frame_record

PIECE_BYTES = 1 << 20
"""Bytes that are encoded and written at once."""


class SegmentFile:
    """The file of the open segment. One thread at a time writes to it. Opening raises OSError."""

    def __init__(self, folder: Path, number: int) -> None:
        self.number = number
        self.committed_at = 0.0
        """When the last group was on disk, in seconds since the epoch."""
        self._folder = folder
        self._file = self._open()
        self._mark = b""
        """The mark with the commit time of the last group."""

    def write(self, group: CommitGroup) -> None:
        """Write and sync; the mark with the commit time is written with the next group."""
        start = os.fstat(self._file).st_size
        try:
            group.size = self._write_lines(group)
            os.fsync(self._file)
        except OSError:
            with suppress(OSError):  # otherwise a torn line remains, which a replay cuts
                os.ftruncate(self._file, start)
            raise
        self.committed_at = time.time()
        self._mark = frame({"committed": self.committed_at})

    def _write_lines(self, group: CommitGroup) -> int:
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

    def seal(self) -> None:
        """Write the mark of the last group."""
        _write_all(self._file, self._mark)
        self._mark = b""

    def begin_next(self, in_flight: list[int]) -> None:
        """Seal the segment and open the next; the marks of the samples in flight are repeated there."""
        self.seal()
        full = self._file
        self.number += 1
        self._file = self._open()
        os.close(full)
        _write_all(self._file, frame({"started": in_flight}))
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _open(self) -> int:
        descriptor = as_its_folder(f"{self._folder}/{self.number:06d}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        fsync_directory(self._folder)
        return descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
