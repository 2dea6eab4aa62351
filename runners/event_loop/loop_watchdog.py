"""Whether the event loop still moves: code that blocks it (time.sleep, a long computation) stops every sample at once.

Only a thread can see that while it lasts. It looks now and then whether the loop's heart has beaten, and names the line that holds it.
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
    """`with StandstillWatch(tell)`: calls `tell` from a thread of its own, once for every time that the loop stands still."""

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
        told = 0.0
        looked_at = time.monotonic()
        while not self._ended.wait(self._after_s / 2):
            now, beaten_at = time.monotonic(), self._beaten_at
            is_awake = now - looked_at < self._after_s  # a process that was stopped as a whole stands still as a whole
            looked_at = now
            if is_awake and told != beaten_at and now - beaten_at >= self._after_s:
                told = beaten_at
                self._tell({"blocked_s": now - beaten_at, "by": self._running(), "at_line": self._line()})

    def _running(self) -> str:
        task = asyncio.current_task(self._loop)
        return task.get_name() if task else "a callback"

    def _line(self) -> str:
        frame = sys._current_frames().get(self._watched)  # noqa: SLF001 - the documented way to another thread's stack
        return "unknown" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
