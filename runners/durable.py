"""Writing that survives a crash: all of a file or nothing of it, lines that are whole or cut, and a directory that remembers.

A disk that refuses becomes a StorageError here, in one sentence that says what to do.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from providers.errors import StorageError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def storage_error(path: Path, error: OSError) -> StorageError:
    """What the operating system says about `path`, and what helps."""
    if error.errno in FULL:
        advice = "make room, then resume"
    elif error.errno in READ_ONLY:
        advice = "make it writable, then resume"
    else:
        advice = "check the disk, then resume"
    return StorageError(f"cannot write {path}: {error.strerror or error}; everything committed is safe: {advice}")


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Raises StorageError for what the disk refuses inside the block; `path` is what people are told of."""
    try:
        yield
    except OSError as error:
        raise storage_error(path, error) from error


def fsync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a temporary file beside `path`, fsync, rename over it, fsync the directory. What fails halfway takes no room."""
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
    """A file that only grows by whole lines: what a crash or a full disk cut off is ended before the next line begins."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b", buffering=0)
        size = self._file.seek(0, os.SEEK_END)
        if size and os.pread(self._file.fileno(), 1, size - 1) != b"\n":
            self._file.write(b"\n")

    def append(self, line: bytes) -> None:
        """All of the line or nothing of it. Raises OSError."""
        start = os.fstat(self._file.fileno()).st_size
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            with suppress(OSError):
                self._file.truncate(start)
            raise

    def close(self) -> None:
        self._file.close()
