"""File functions of the operating system that fail: from the n-th call on a watched folder on, or only there, with a chosen error.

The program is unchanged: it calls `os.write`, `os.fsync`, `Path.open` … as always and gets these functions.
"""

from __future__ import annotations

import builtins
import fcntl
import io
import os
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LABELS = ((r"\d{8}-\d{6}-[0-9a-f]{4}", "RUN"), (r"\b[0-9a-f]{24}\b", "KEY"), (r"\d{2,}", "N"))
"""Parts of a path that differ between runs."""
READING = "open to read"


@dataclass(slots=True)
class FailingDisk:
    """Counts the calls on files below `root`, and lets the n-th one fail."""

    root: str
    number: int = 0
    error: int = 0
    stays: bool = False
    """Whether all later calls that write fail too."""
    named: Sequence[str] = ()
    """A call and the label of its file: the n-th of these fails. Empty: the n-th of all, whose order differs from run to run."""
    _has_failed: bool = False
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Every call and the label of its file, in order."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, call: str, path: object) -> None:
        """Count a call on a file below the root. Raises OSError if it is to fail."""
        name = _path_of(path)
        if not name.startswith(f"{self.root}/"):
            return
        made = (call, _label(name.removeprefix(f"{self.root}/")))
        with self._lock:
            self.calls.append(made)
            fails = self.stays and self._has_failed and call != READING
            if self.error and not self._has_failed:
                counted = self.calls.count(made) if made == tuple(self.named) else 0 if self.named else len(self.calls)
                fails = self._has_failed = counted == self.number
        if fails:
            named = [] if isinstance(path, int) else [os.fspath(path)]  # type: ignore[call-overload]
            raise OSError(self.error, os.strerror(self.error), *named)

    def install(self) -> None:
        """Replace the real functions for the rest of this process."""
        for name, at in (("write", 0), ("fsync", 0), ("ftruncate", 0), ("truncate", 0), ("mkdir", 0), ("rmdir", 0)):
            setattr(os, name, self._failing(name, getattr(os, name), at))
        for name, at in (("rename", 1), ("replace", 1), ("link", 1), ("unlink", 0)):
            setattr(os, name, self._failing(name, getattr(os, name), at))
        fcntl.flock = self._failing("flock", fcntl.flock, 0)
        os.open = self._failing_open(os.open)
        io.open = builtins.open = self._failing_file(io.open)

    def _failing(self, call: str, real: Callable[..., Any], named_by: int) -> Callable[..., Any]:
        def failing(*arguments: Any, **more: Any) -> Any:
            path = arguments[named_by]
            if more.get("dir_fd") is not None:
                path = f"{_path_of(more['dir_fd'])}/{path}"
            self.check(call, path)
            return real(*arguments, **more)

        return failing

    def _failing_open(self, real: Callable[..., int]) -> Callable[..., int]:
        def failing(path: Any, flags: int, *rest: Any, **more: Any) -> int:
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            self.check("open" if writes else READING, path)
            return real(path, flags, *rest, **more)

        return failing

    def _failing_file(self, real: Callable[..., Any]) -> Callable[..., Any]:
        disk = self

        class FailingFile(io.FileIO):
            def write(self, data: Any, /) -> int:
                disk.check("write", self.fileno())
                return int(super().write(data) or 0)

            def truncate(self, size: int | None = None, /) -> int:
                disk.check("ftruncate", self.fileno())
                return super().truncate(size)

        def failing(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **more: Any) -> Any:
            is_watched = not isinstance(file, int) and _path_of(file).startswith(f"{disk.root}/")
            if not is_watched or not set(mode) & set("wax+"):
                disk.check(READING, file)
                return real(file, mode, buffering, *rest, **more)
            disk.check("open", file)
            raw = FailingFile(file, mode.replace("b", "").replace("t", ""), opener=more.pop("opener", None))
            if "b" in mode and buffering == 0:
                return raw
            buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            return buffered if "b" in mode else io.TextIOWrapper(buffered, *rest, **more)

        return failing


def _path_of(path: object) -> str:
    if isinstance(path, int):
        try:
            return os.fspath(Path(f"/proc/self/fd/{path}").readlink())
        except OSError:
            return ""
    if hasattr(path, "fileno"):
        return _path_of(path.fileno())
    return os.path.abspath(os.fsdecode(path))  # type: ignore[arg-type]  # noqa: PTH100 - the real functions take any path


def _label(path: str) -> str:
    for pattern, name in LABELS:
        path = re.sub(pattern, name, path)
    return path
