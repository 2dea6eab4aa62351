"""The progress of reading a large task file, on a terminal: nothing for two seconds, then one line that is replaced."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sharding.tasks.scan.file_scan import OnProgress

from .progress import FULL_EVERY_S, PLAIN_EVERY_S, print_line
from .terminal import printable

QUIET_S = 2.0
"""Time that reading may take before it is shown."""


@contextmanager
def scan_shown(display: str | None) -> Iterator[OnProgress | None]:
    """Show the progress that the yielded function is told. It is None where there is no terminal, or where `display` is none."""
    if display == "none" or not sys.stderr.isatty():
        yield None
        return
    with ExitStack() as stack:
        if display == "plain":
            yield ScanProgress(print_line, PLAIN_EVERY_S)
        else:
            yield ScanProgress(_Replaced(stack), FULL_EVERY_S)


class ScanProgress:
    """A function that is told the progress of a scan, and shows it from QUIET_S on, every `every_s`."""

    def __init__(
        self, show: Callable[[str], object], every_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._show = show
        self._every_s = every_s
        self._now = now
        self._due_s = now() + QUIET_S

    def __call__(self, path: Path, rows: int, share: float | None) -> None:
        """Show the progress if it is time."""
        now = self._now()
        if now >= self._due_s:
            self._due_s = now + self._every_s
            self._show(scan_line(path, rows, share))


def scan_line(path: Path, rows: int, share: float | None) -> str:
    """Format the progress as one line."""
    of_file = "" if share is None else f" · {share:.0%}"
    return printable(f"reading {path} · {rows:,} tasks{of_file}")


class _Replaced:
    """Shows a line in the place of the one before. The last one is removed when `stack` closes."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._update: Callable[[str], None] | None = None

    def __call__(self, line: str) -> None:
        if self._update is None:
            self._update = self._open()
        self._update(line)

    def _open(self) -> Callable[[str], None]:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        live = self._stack.enter_context(Live(console=Console(stderr=True), auto_refresh=False, transient=True))
        return lambda line: live.update(Text(line), refresh=True)
