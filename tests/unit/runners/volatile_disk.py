"""A disk that loses at a power cut whatever was not synced.

A file keeps the bytes it had at its last fsync. A directory keeps the names it had at its last fsync: a file that was created or
renamed since is lost, one that was deleted since is there again. Only the system call `os.fsync` is observed.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

Listing = Mapping[str, int]
"""Inode by name."""


class VolatileDisk:
    """What is durable of the given folders, which exist at the start."""

    def __init__(self, root: Path, *folders: str, on_sync: Callable[[str], None] = lambda _path: None) -> None:
        self._root = root
        self._content: dict[int, bytes] = {}
        self._listings: dict[str, Listing] = {name: {} for name in folders}
        self._held: dict[int, int] = {}
        self._on_sync = on_sync
        self._lock = threading.RLock()

    def cut_power(self, to: Path) -> Path:
        """Write what a machine would find at its next start."""
        with self._lock:
            for folder, listing in self._listings.items():
                (to / folder).mkdir(parents=True)
                for name, inode in listing.items():
                    (to / folder / name).write_bytes(self._content.get(inode, b""))
        return to

    @contextmanager
    def observe(self) -> Iterator[None]:
        """Follow every fsync of this process while the block lasts."""
        real = os.fsync

        def fsync(descriptor: int) -> None:
            with self._lock:  # one at a time: a power cut sees all of it or nothing
                real(descriptor)
                self._keep(descriptor)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            try:
                yield
            finally:
                for held in self._held.values():
                    os.close(held)

    def _keep(self, descriptor: int) -> None:
        """Note what is durable now; files of other folders are none of this disk."""
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if not path.is_relative_to(self._root):
            return
        name = str(path.relative_to(self._root))
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            self._listings[name] = {entry.name: self._hold(entry) for entry in path.iterdir()}
        else:
            self._content[self._hold(path)] = path.read_bytes()
        self._on_sync(name)

    def _hold(self, path: Path) -> int:
        """Keep the file open: its inode number is not given to another."""
        descriptor = os.open(path, os.O_RDONLY)
        inode = os.fstat(descriptor).st_ino
        if inode in self._held:
            os.close(descriptor)
        else:
            self._held[inode] = descriptor
        return inode
