"""Watched file functions of the operating system: every call on a run's files has a name, and at a chosen call the process signals itself.

The program is unchanged: it calls `os.write`, `os.fsync`, `Path.open` … as always and gets these functions. The default signal is SIGKILL,
which is no exception: no `finally` block, no buffer and no other thread runs after it.
"""

from __future__ import annotations

import builtins
import io
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

When = Literal["before", "torn", "after"]

ROLES = tuple(
    (re.compile(pattern), role)
    for pattern, role in (
        (r"/journal/\d+\.log$", "segment"),
        (r"/journal/\.\d+\.log\.pending$", "marks left behind"),
        (r"/journal/unresolved\.log$", "unresolved.log"),
        (r"/journal/\.unresolved\.log\.pending$", "unresolved.log, temporary"),
        (r"/journal/spending\.log$", "spending log"),
        (r"/journal$", "journal folder"),
        (r"/results/part-\d+\.parquet$", "part"),
        (r"/results/\.part-\d+\.parquet\.pending$", "part, temporary"),
        (r"/results/results\.jsonl$", "results.jsonl"),
        (r"/results/\.parts$", "index"),
        (r"/results/\.\.parts\.pending$", "index, temporary"),
        (r"/results/\.lines$", "line checksums"),
        (r"/results/\.\.part-\d+\.parquet\.crc32\.pending$", "checksum, temporary"),
        (r"/results/\.part-\d+\.parquet\.crc32$", "checksum"),
        (r"/results/[^/]+\.damaged(?:\.\d+)?$", "file set aside"),
        (r"/results/\.\.results\.jsonl\.new\.pending$", "new results.jsonl, temporary"),
        (r"/results/\.results\.jsonl\.new$", "new results.jsonl"),
        (r"/results/\.\.parts\.new\.pending$", "new index, temporary"),
        (r"/results/\.parts\.new$", "new index"),
        (r"/[^./]+-rescored-\d+$", "rescored run"),
        (r"/results/unresolved\.(?:parquet|jsonl)$", "unresolved results"),
        (r"/results/\.unresolved\.(?:parquet|jsonl)\.pending$", "unresolved results, temporary"),
        (r"/results$", "results folder"),
        (r"/\.[^/]+-rescored-\d+\.pending$", "rescored run, hidden"),
        (r"/manifest\.json$", "manifest"),
        (r"/\.manifest\.json\.pending$", "manifest, temporary"),
        (r"/summary\.json$", "summary"),
        (r"/\.summary\.json\.pending$", "summary, temporary"),
        (r"/executions\.jsonl$", "executions"),
        (r"/decisions\.jsonl$", "decisions"),
        (r"/limits\.json$", "learned limits"),
        (r"/\.limits\.json\.pending$", "learned limits, temporary"),
        (r"/locks/[0-9a-f]+\.lock$", "lock of a key"),
    )
)  # fmt: skip


def role_of(path: object) -> str | None:
    """Return the role of a file in the write path; None for any other file."""
    if isinstance(path, int):
        try:
            path = Path(f"/proc/self/fd/{path}").readlink()
        except OSError:
            return None
    text = os.path.abspath(os.fsdecode(path))  # type: ignore[arg-type]  # noqa: PTH100 - the watched functions take any path
    return next((role for pattern, role in ROLES if pattern.search(text)), None)


@dataclass(slots=True)
class Watch:
    """Counts operations such as "segment: write records" and ends the process at the n-th of one kind."""

    operation: str = ""
    when: When = "before"
    number: int = 0
    signals: tuple[int, ...] = (signal.SIGKILL,)
    """The signals that the process sends to itself."""
    seen: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self, operation: str, do: Callable[[], Any], tear: Callable[[], object] | None = None) -> Any:
        """Run `do`, or only the part of it that comes before the signals."""
        with self._lock:
            self.seen[operation] += 1
            is_last = operation == self.operation and self.seen[operation] == self.number
        if not is_last:
            return do()
        if self.when == "torn" and tear is not None:
            tear()
        done = do() if self.when == "after" else None
        for number in self.signals:
            os.kill(os.getpid(), number)
        return done if self.when == "after" else do()


def _content(role: str, data: bytes) -> str:
    """Name what is written into a segment: records, marks of sent samples, or the seal."""
    if role != "segment":
        return "write"
    if b'"ordinal":' in data:
        return "write records"
    return "write seal" if b'"committed":' in data and b'"started":' not in data else "write marks"


def watch_system(watch: Watch) -> None:
    """Replace the real functions by watched ones, for the rest of this process."""
    write, truncate = os.write, os.ftruncate

    def watched_write(descriptor: int, data: Any, /) -> int:
        role = role_of(descriptor)
        if role is None or not data:
            return write(descriptor, data)
        operation = f"{role}: {_content(role, bytes(data))}"
        half = bytes(data)[: len(data) // 2]
        return int(watch.call(operation, lambda: write(descriptor, data), lambda: write(descriptor, half)))

    os.write = watched_write
    os.ftruncate = _watched(watch, truncate, "truncate", 0)
    os.truncate = _watched(watch, os.truncate, "truncate", 0)
    os.fsync = _watched(watch, os.fsync, "fsync", 0)
    os.rename = _watched(watch, os.rename, "rename", 1)
    os.replace = _watched(watch, os.replace, "rename", 1)
    os.link = _watched(watch, os.link, "link", 1)
    os.mkdir = _watched(watch, os.mkdir, "mkdir", 0)
    os.unlink = _watched(watch, os.unlink, "unlink", 0)
    os.open = _watched_open(watch, os.open)
    io.open = builtins.open = _watched_file(watch, io.open)


def _watched(watch: Watch, real: Callable[..., Any], verb: str, named_by: int) -> Callable[..., Any]:
    def watched(*arguments: Any, **more: Any) -> Any:
        role = role_of(arguments[named_by])
        if role is None:
            return real(*arguments, **more)
        return watch.call(f"{role}: {verb}", lambda: real(*arguments, **more))

    return watched


def _watched_open(watch: Watch, real: Callable[..., int]) -> Callable[..., int]:
    def watched(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        role = role_of(path) if flags & os.O_CREAT else None
        if role is None:
            return real(path, flags, *rest, **more)
        return int(watch.call(f"{role}: create", lambda: real(path, flags, *rest, **more)))

    return watched


def _watched_file(watch: Watch, real: Callable[..., Any]) -> Callable[..., Any]:
    """Watch binary files opened for writing: their buffer's writes and truncations are counted like those of `os.write`."""

    class WatchedFile(io.FileIO):
        def write(self, data: Any, /) -> int:
            role, whole = role_of(self.fileno()), bytes(data)
            if role is None or not whole:
                return int(super().write(data) or 0)
            tear = super().write
            do = super().write
            return int(watch.call(f"{role}: write", lambda: do(data), lambda: tear(whole[: len(whole) // 2])))

        def truncate(self, size: int | None = None, /) -> int:
            role, do = role_of(self.fileno()), super().truncate
            return do(size) if role is None else int(watch.call(f"{role}: truncate", lambda: do(size)))

    def active(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **more: Any) -> Any:
        role = role_of(file) if "b" in mode and mode[0] in "wax" else None
        if role is None:
            return real(file, mode, buffering, *rest, **more)
        raw = watch.call(f"{role}: open", lambda: WatchedFile(file, mode.replace("b", ""), opener=more.get("opener")))
        if buffering == 0:
            return raw
        return io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)

    return active
