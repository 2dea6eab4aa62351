"""The watchdog of the event loop: code that blocks the loop (time.sleep, a long computation) stops all samples at once.

Only another thread can detect this while it lasts. It checks the loop's heartbeat at intervals and reports the line that blocks it.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Mapping

from providers.messages import JSON

STANDSTILL_S = 5.0


class LoopWatchdog:
    """The context manager that calls `tell` from its own thread, once each time that the loop is blocked."""

    def __init__(self, tell: Callable[[Mapping[str, JSON]], None], after_s: float = STANDSTILL_S) -> None:
        self._tell = tell
        self._after_s = after_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="standstill watch", daemon=True)

    def __enter__(self) -> LoopWatchdog:
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._beat()
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._timer.cancel()

    def _beat(self) -> None:
        self._beaten_at = time.monotonic()
        self._timer = self._loop.call_later(self._after_s / 4, self._beat)

    def _watch(self) -> None:
        reported_beat = 0.0
        checked_at = time.monotonic()
        while not self._ended.wait(self._after_s / 2):
            now, beaten_at = time.monotonic(), self._beaten_at
            is_awake = (
                now - checked_at < self._after_s
            )  # False if the whole process was stopped, which is no blocked loop
            checked_at = now
            if is_awake and reported_beat != beaten_at and now - beaten_at >= self._after_s:
                reported_beat = beaten_at
                self._tell({"blocked_s": now - beaten_at, "by": self._running(), "at_line": self._line()})

    def _running(self) -> str:
        task = asyncio.current_task(self._loop)
        return task.get_name() if task else "a callback"

    def _line(self) -> str:
        frame = sys._current_frames().get(self._watched)  # noqa: SLF001 - the documented way to another thread's stack
        return "unknown" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
