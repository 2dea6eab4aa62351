"""A recorder of what this process changes below a folder: names, bytes and syncs, in their order.

Only calls of the operating system are observed; the program is unchanged. Every sync has the name of the function that asks for it.
"""

from __future__ import annotations

import builtins
import io
import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

Kind = Literal["make", "enter", "leave", "rename", "write", "truncate", "sync", "count"]
HELPERS = frozenset({"fsync_directory", "replace_file", "make_directory"})
"""Functions that sync for others: the caller names the sync."""
ROOT = 0
"""The number of the observed folder; every file and folder below it gets one that is never used again."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One change of the disk, or the count of a record."""

    kind: Kind
    node: int
    """The file, or for a change of names the folder; for a count the ordinal."""
    name: str = ""
    """The name that is entered, left or changed; of a sync, who asked for it."""
    to: str = ""
    target: int = 0
    """What gets the name."""
    at: int = 0
    data: bytes = b""


class RecordedDisk:
    """The operations below `root`, which is there; what it holds at the start is taken as durable."""

    def __init__(self, root: Path) -> None:
        self.operations: list[Operation] = []
        self._root = root
        self._nodes: dict[Path, int] = {root: ROOT}
        self._numbers = itertools.count(ROOT + 1)
        self._lock = threading.RLock()
        self.initial = [*self._walk(root)]
        """What makes the content at the start."""

    def _walk(self, folder: Path) -> Iterator[Operation]:
        for path in sorted(folder.iterdir()):
            yield self._entered(path, is_folder=path.is_dir())
            if path.is_dir():
                yield from self._walk(path)
            else:
                yield Operation("write", self._nodes[path], data=path.read_bytes())

    def count(self, ordinal: int) -> None:
        """Note that a record is counted now."""
        with self._lock:
            self.operations.append(Operation("count", ordinal))

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record while the block lasts."""
        with pytest.MonkeyPatch.context() as patch:
            for name, record in (("mkdir", self._mkdir), ("unlink", self._unlink), ("write", self._write)):
                patch.setattr(os, name, self._followed(getattr(os, name), record))
            for name in ("rename", "replace"):
                patch.setattr(os, name, self._followed(getattr(os, name), self._rename))
            for name in ("truncate", "ftruncate"):
                patch.setattr(os, name, self._followed(getattr(os, name), self._truncate))
            patch.setattr(os, "fsync", self._followed(lambda _: None, self._sync))  # nothing waits for the real disk
            patch.setattr(os, "link", self._followed(os.link, self._link))
            patch.setattr(os, "open", self._followed(os.open, self._open))
            patch.setattr(io, "open", recorded_open := self._opener(io.open))
            patch.setattr(builtins, "open", recorded_open)
            yield

    def _followed(self, real: Callable[..., Any], record: Callable[..., list[Operation]]) -> Callable[..., Any]:
        """Call the real function; `record` is called before it and says what it changes."""

        def followed(*arguments: Any, **more: Any) -> Any:
            with self._lock:  # one at a time: the order of the record is that of the disk
                operations = record(*arguments)
                answer = real(*arguments, **more)
                self.operations += operations
                return answer

        return followed

    # ------------------------------------------------------------------ names
    def _path(self, of: Any) -> Path:
        path = Path(f"/proc/self/fd/{of}").readlink() if isinstance(of, int) else Path(of)
        return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links

    def _node(self, of: Any) -> int | None:
        return self._nodes.get(self._path(of))

    def _entered(self, path: Path, *, is_folder: bool = False) -> Operation:
        self._nodes[path] = next(self._numbers)
        kind: Kind = "make" if is_folder else "enter"
        return Operation(kind, self._nodes[path.parent], path.name, target=self._nodes[path])

    def _is_new(self, path: Path) -> bool:
        return path.parent in self._nodes and not path.exists()

    def _mkdir(self, path: Any, *_: Any) -> list[Operation]:
        path = self._path(path)
        return [self._entered(path, is_folder=True)] if self._is_new(path) else []

    def _open(self, path: Any, flags: int, *_: Any) -> list[Operation]:
        if not flags & os.O_CREAT:
            return []
        path = self._path(path)
        return [self._entered(path)] if self._is_new(path) else []

    def _unlink(self, path: Any) -> list[Operation]:
        path = self._path(path)
        if path not in self._nodes or not path.exists():
            return []
        del self._nodes[path]
        return [Operation("leave", self._nodes[path.parent], path.name)]

    def _link(self, source: Any, target: Any) -> list[Operation]:
        source, target = self._path(source), self._path(target)
        if source not in self._nodes:
            return []
        node = self._nodes[target] = self._nodes[source]
        return [Operation("enter", self._nodes[target.parent], target.name, target=node)]

    def _rename(self, source: Any, target: Any) -> list[Operation]:
        source, target = self._path(source), self._path(target)
        if source not in self._nodes:
            return []
        moved = {path: node for path, node in self._nodes.items() if path == source or source in path.parents}
        for path, node in moved.items():
            del self._nodes[path]
            self._nodes[target / path.relative_to(source)] = node
        node = self._nodes[target]
        return [Operation("rename", self._nodes[target.parent], source.name, target.name, node)]

    # ------------------------------------------------------------------ bytes
    def _write(self, descriptor: int, data: Any) -> list[Operation]:
        node = self._node(descriptor)
        return [] if node is None else [Operation("write", node, at=os.fstat(descriptor).st_size, data=bytes(data))]

    def _truncate(self, of: Any, size: int) -> list[Operation]:
        node = self._node(of)
        return [] if node is None else [Operation("truncate", node, at=size)]

    def _sync(self, descriptor: int) -> list[Operation]:
        node = self._node(descriptor)
        return [] if node is None else [Operation("sync", node, _asked_by(self._path(descriptor).is_dir()))]

    def _opener(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """Open binary files for writing with a raw file whose changes are recorded."""
        disk = self

        class RecordedFile(io.FileIO):
            def write(self, data: Any, /) -> int:
                with disk._lock:
                    node, whole = disk._node(self.fileno()), bytes(data)
                    at = os.fstat(self.fileno()).st_size if "a" in self.mode else self.tell()
                    written = super().write(whole)
                    if node is not None and written:
                        disk.operations.append(Operation("write", node, at=at, data=whole[:written]))
                return written or 0

            def truncate(self, size: int | None = None, /) -> int:
                with disk._lock:
                    cut = super().truncate(size)
                    disk.operations += disk._truncate(self.fileno(), cut)
                return cut

        def opened(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **more: Any) -> Any:
            if (
                isinstance(file, int)
                or "b" not in mode
                or mode[0] not in "wax"
                or not disk._has(disk._path(file).parent)
            ):
                return real(file, mode, buffering, *rest, **more)
            with disk._lock:
                path, opener, operations = disk._path(file), more.get("opener"), list[Operation]()
                if mode[0] == "w" and path.exists():
                    operations = disk._truncate(path, 0)
                elif disk._is_new(path) and opener is None:  # an opener calls os.open, which is recorded
                    operations = [disk._entered(path)]
                raw = RecordedFile(file, mode.replace("b", ""), opener=opener)
                disk.operations += operations
            if buffering == 0:
                return raw
            return io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)

        return opened

    def _has(self, folder: Path) -> bool:
        return folder in self._nodes


def _asked_by(is_folder: bool) -> str:
    """Name the function that asked for the sync, and what it syncs."""
    frame = sys._getframe(1)
    while frame.f_back and (frame.f_code.co_filename == __file__ or frame.f_code.co_name in HELPERS):
        frame = frame.f_back
    name = frame.f_code.co_qualname.replace(".<locals>", "")
    return f"{name}: {'folder' if is_folder else 'file'}"
