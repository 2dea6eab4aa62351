"""A disk that loses at a power cut whatever was not synced.

A file keeps the bytes it had at its last fsync. A directory keeps the names it had at its last fsync: a file that was created or
renamed since is lost, one that was deleted since is there again. A disk may also be early: renames or deletions reach it at once,
before what came earlier. Only calls of the operating system are observed.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest

Early = Literal["nothing", "renames", "deletions"]
"""What reaches the disk without an fsync."""
Listing = dict[str, int]
"""Inode by name."""


class VolatileDisk:
    """What is durable of the given folders, which exist at the start."""

    def __init__(
        self,
        root: Path,
        *folders: str,
        on_change: Callable[[str], None] = lambda _event: None,
        early: Early = "nothing",
    ) -> None:
        self._root = root
        self._content: dict[int, bytes] = {}
        self._listings: dict[str, Listing] = {name: {} for name in folders}
        self._held: dict[int, int] = {}
        self._on_change = on_change
        self._early = early
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
        """Follow the file operations of this process while the block lasts."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", self._followed(os.fsync, self._keep))
            if self._early == "renames":
                patch.setattr(os, "rename", self._followed(os.rename, self._rename))
            elif self._early == "deletions":
                patch.setattr(os, "unlink", self._followed(os.unlink, self._delete))
            try:
                yield
            finally:
                for held in self._held.values():
                    os.close(held)

    def _followed(self, real: Callable[..., None], note: Callable[..., None]) -> Callable[..., None]:
        def followed(*arguments: object) -> None:
            with self._lock:  # one at a time: a power cut sees all of it or nothing
                real(*arguments)
                note(*arguments)

        return followed

    def _rename(self, source: Path, target: Path) -> None:
        listing = self._listings.get(self._name(target.parent))
        if listing is not None:
            listing.pop(source.name, None)
            listing[target.name] = self._hold(target)
            self._on_change(f"{self._name(target)} renamed")

    def _delete(self, path: Path) -> None:
        listing = self._listings.get(self._name(path.parent), {})
        if listing.pop(path.name, None) is not None:
            self._on_change(f"{self._name(path)} deleted")

    def _name(self, path: Path) -> str:
        """Below the root; files of other folders are none of this disk."""
        return str(path.relative_to(self._root)) if path.is_relative_to(self._root) else ""

    def _keep(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        name = self._name(path)
        if not name:
            return
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            self._listings[name] = {entry.name: self._hold(entry) for entry in path.iterdir()}
        else:
            self._content[self._hold(path)] = path.read_bytes()
        self._on_change(f"{name} synced")

    def _hold(self, path: Path) -> int:
        """Keep the file open: its inode number is not given to another."""
        descriptor = os.open(path, os.O_RDONLY)
        inode = os.fstat(descriptor).st_ino
        if inode in self._held:
            os.close(descriptor)
        else:
            self._held[inode] = descriptor
        return inode
