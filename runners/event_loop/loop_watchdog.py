"""The watchdog of the event loop: code that blocks the loop (time.sleep, a long computation) stops all samples at once.

Two check the loop's heartbeat while it lasts and report the line that blocks it: another thread, and a timer of CPU time, whose signal also
interrupts C code that lets no other thread run (a pattern of the package `re`).
"""

from __future__ import annotations

import asyncio
import signal
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType

from providers.messages import JSON

STANDSTILL_S = 5.0
CPU_TICK_S = 1.0
"""CPU time between two checks by the timer; an idle loop uses none."""
_LIBRARIES = (sysconfig.get_path("stdlib"), __file__)


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
        self._reported_beat = 0.0
        self._beat()
        self._thread.start()
        self._has_timer = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGVTALRM) is signal.SIG_DFL
        )
        if self._has_timer:
            signal.signal(signal.SIGVTALRM, self._on_cpu_tick)
            signal.setitimer(signal.ITIMER_VIRTUAL, CPU_TICK_S, CPU_TICK_S)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._has_timer:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
        self._ended.set()
        self._timer.cancel()

    def _beat(self) -> None:
        self._beaten_at, self._cpu_at_beat_s = time.monotonic(), time.process_time()
        self._timer = self._loop.call_later(self._after_s / 4, self._beat)

    def _watch(self) -> None:
        checked_at = time.monotonic()
        while not self._ended.wait(self._after_s / 2):
            now = time.monotonic()
            is_awake = (
                now - checked_at < self._after_s
            )  # False if the whole process was stopped, which is no blocked loop
            checked_at = now
            if is_awake:
                self._check(sys._current_frames().get(self._watched))  # noqa: SLF001 - the documented way to another thread's stack

    def _on_cpu_tick(self, _number: int, frame: FrameType | None) -> None:
        if time.process_time() - self._cpu_at_beat_s < CPU_TICK_S / 2:  # the whole process was stopped
            return
        try:
            self._check(frame)
        except RuntimeError:  # it has interrupted a print, which cannot be entered twice: the next tick tries again
            self._reported_beat = 0.0

    def _check(self, frame: FrameType | None) -> None:
        """Report a heartbeat that is overdue, once."""
        beaten_at = self._beaten_at
        blocked_s = time.monotonic() - beaten_at
        if blocked_s >= self._after_s and self._reported_beat != beaten_at:
            self._reported_beat = beaten_at
            self._tell({"blocked_s": blocked_s, "by": self._running(), "at_line": _line(frame)})

    def _running(self) -> str:
        task = asyncio.current_task(self._loop)
        return task.get_name() if task else "a callback"


def _line(frame: FrameType | None) -> str:
    """Return the innermost line that is not of Python's library: in `re.search(...)` that of the call."""
    inner = frame
    while frame is not None and frame.f_code.co_filename.startswith(_LIBRARIES):
        frame = frame.f_back
    shown = frame or inner
    return "unknown" if shown is None else f"{shown.f_code.co_filename}:{shown.f_lineno}"
