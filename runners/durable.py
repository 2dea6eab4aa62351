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

from providers.errors import InputError, StorageError
from providers.file_modes import as_its_folder, folder_mode

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
NOT_SYNCED = READ_ONLY | {errno.EINVAL, errno.ENOSYS}
"""What the sync of a folder answers where it is not ours, or its file system has none."""
BROKEN = frozenset({errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ELOOP, errno.ENOLCK, errno.EOPNOTSUPP})


def is_of_disk(error: OSError) -> bool:
    """Return whether the disk or its permissions are at fault; no other error of a program is of these kinds."""
    return error.errno in FULL | READ_ONLY | BROKEN


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
def storing(path: Path, *, of_disk: bool = False) -> Iterator[None]:
    """Raise a StorageError about `path` in place of an OSError inside the block; with `of_disk` only of one that is the disk's."""
    try:
        yield
    except OSError as error:
        if of_disk and not is_of_disk(error):
            raise
        raise storage_error(path, error) from error


@contextmanager
def writing(path: Path, remedy: str) -> Iterator[None]:
    """Around the writing of a file that a person asked for: raise StorageError where the disk is full or broken.

    Raises InputError with the `remedy` where the path is at fault.
    """
    try:
        yield
    except OSError as error:
        reason = f"cannot write {path}: {error.strerror or error}"
        if error.errno in FULL | BROKEN:
            advice = "make room" if error.errno in FULL else "check the disk"
            raise StorageError(f"{reason}; {advice}, then repeat the command") from error
        raise InputError(f"{reason}; {remedy}") from error


def fsync_directory(path: Path) -> None:
    """Sync a directory, so that new and renamed files in it survive a crash."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path, mode: int | None = None) -> None:
    """Create a directory and its missing parents, each durable in its parent, and as open as the nearest that exists, or as `mode`.

    One that exists is synced, too: the process that made it may have been killed before it could. A parent that cannot be synced
    is left out.
    """
    if not path.is_dir():
        if not path.parent.is_dir():
            make_directory(path.parent)
        if path.exists():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        path.mkdir(folder_mode(path.parent) if mode is None else mode, exist_ok=True)
    try:
        fsync_directory(path.parent)
    except OSError as error:
        if error.errno not in NOT_SYNCED:
            raise


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


Opener = Callable[[str, int], int]


def replace_file(path: Path, write: Callable[[BinaryIO], object], opener: Opener | None = as_its_folder) -> None:
    """Write a temporary file beside `path`, sync it, rename it to `path` and sync the directory. After a failure it is deleted.

    Its mode is that of its folder; with the `opener` None it follows the umask, as what a user exports does.
    """
    pending = path.with_name(f".{path.name}.pending")
    try:
        with open(pending, "wb", opener=opener) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:  # what is written may be read from a file that is damaged
        with suppress(OSError):
            pending.unlink()
        raise
    pending.rename(path)
    fsync_directory(path.parent)


class LineFile:
    """A file to which complete lines are appended. A line that a crash cut off is ended before the next one begins."""

    def __init__(self, path: Path) -> None:
        is_new = not path.exists()
        self._file = open(path, "a+b", buffering=0, opener=as_its_folder)  # noqa: SIM115 - see close
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
