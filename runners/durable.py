"""Writes that survive a crash: atomic replacement of files, files of lines that are complete or cut, and synced directories.

An OSError of the disk becomes a StorageError whose message says what to do.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from providers.errors import StorageError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def storage_error(path: Path, error: OSError) -> StorageError:
    """Build a StorageError with the operating system's message about `path` and advice."""
    if error.errno in FULL:
        advice = "make room, then resume"
    elif error.errno in READ_ONLY:
        advice = "make it writable, then resume"
    else:
        advice = "check the disk, then resume"
    return StorageError(f"cannot write {path}: {error.strerror or error}; everything committed is safe: {advice}")


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Raise a StorageError about `path` in place of an OSError inside the block."""
    try:
        yield
    except OSError as error:
        raise storage_error(path, error) from error


def fsync_directory(path: Path) -> None:
    """Sync a directory, so that new and renamed files in it survive a crash."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Create a directory and its missing parents, each durable in its parent.

    One that exists is synced, too: the process that made it may have been killed before it could. A parent that may not be read is
    left out.
    """
    if not path.is_dir():
        if not path.parent.is_dir():
            make_directory(path.parent)
        path.mkdir(exist_ok=True)
    with suppress(PermissionError):
        fsync_directory(path.parent)


def set_aside(path: Path) -> Path:
    """Keep a file under a second name: the first free one of `NAME.damaged`, `NAME.damaged.2` …, or the one that it already has."""
    kept, number = path.with_name(f"{path.name}.damaged"), 1
    while kept.exists() and not kept.samefile(path):
        number += 1
        kept = path.with_name(f"{path.name}.damaged.{number}")
    if not kept.exists():
        try:
            os.link(path, kept)
        except OSError:  # a file system without links
            with path.open("rb") as file:
                replace_file(kept, partial(shutil.copyfileobj, file))
        fsync_directory(path.parent)
    return kept


def replace_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a temporary file beside `path`, sync it, rename it to `path` and sync the directory. After a failure it is deleted."""
    pending = path.with_name(f".{path.name}.pending")
    try:
        with pending.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):
            pending.unlink()
        raise
    pending.rename(path)
    fsync_directory(path.parent)


class LineFile:
    """A file to which complete lines are appended. A line that a crash cut off is ended before the next one begins."""

    def __init__(self, path: Path) -> None:
        is_new = not path.exists()
        self._file = path.open("a+b", buffering=0)
        if is_new:
            fsync_directory(path.parent)
        size = self._file.seek(0, os.SEEK_END)
        if size and os.pread(self._file.fileno(), 1, size - 1) != b"\n":
            self._file.write(b"\n")

    def append(self, line: bytes) -> None:
        """Append the whole line or nothing of it. Raises OSError."""
        start = os.fstat(self._file.fileno()).st_size
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            with suppress(OSError):
                self._file.truncate(start)
            raise

    def sync(self) -> None:
        """Wait until the lines are durable. Raises OSError."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()
