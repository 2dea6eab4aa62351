"""Locks on files, which keep other processes out until the file is closed or the process ends.

They are the operating system's (`flock`), through filelock. A file is locked through a descriptor that may write: on NFS such a lock is
shared between machines, and one on a directory or on a file opened to read is not.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import lock_descriptor

from providers.errors import InputError

NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS})
"""What a file system without locks answers."""


@contextmanager
def lock_file(path: Path, remedy: str) -> Iterator[int | None]:
    """Open and lock a file; yield its descriptor, or None if another process holds the lock.

    Raises InputError with the `remedy` where the file system has no locks, OSError where the file cannot be opened.
    """
    descriptor = _opened(path)
    try:
        yield descriptor if _is_locked(descriptor, path, remedy) else None
    finally:
        os.close(descriptor)


@contextmanager
def lock_folder(path: Path) -> Iterator[bool]:
    """Yield whether no other process holds the lock of a folder, which version 0.1 locked. True where folders cannot be locked."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        is_free = True
        with suppress(OSError):
            is_free = lock_descriptor(descriptor, blocking=False)
        yield is_free
    finally:
        os.close(descriptor)


@contextmanager
def queued_at(path: Path) -> Iterator[None]:
    """Wait until no other process holds the lock of this file. Where the file system has no locks, do not wait."""
    descriptor = _opened(path)
    try:
        try:
            lock_descriptor(descriptor)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    """Open the file, or make it, as open as its folder. A link is not followed: a run directory may come from somebody else."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, path.parent.stat().st_mode & 0o666)


def _is_locked(descriptor: int, path: Path, remedy: str) -> bool:
    try:
        return lock_descriptor(descriptor, blocking=False)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        message = f"{path.parent} is on a file system without locks ({error.strerror}): {remedy}"
        raise InputError(message) from error
