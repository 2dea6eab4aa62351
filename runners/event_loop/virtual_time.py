"""An event loop with a virtual clock that jumps to the next timer when no event is ready: an hour of waiting takes no time.

The order of events is the same as in real time. It is for one loop without threads and sockets. If all tasks wait and no timer is set,
nothing can happen any more: this raises LoopStalled.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


TICK_S = 1e-9
"""Time that each iteration of the loop takes: otherwise a timer that rounds to "now" could fire forever without time passing."""


class LoopStalled(RuntimeError):
    """All tasks wait and no timer is set: no event can happen any more."""


class _JumpingSelector(selectors.SelectSelector):
    """A selector that returns the ready events and advances the clock instead of waiting."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise LoopStalled("every task waits and no timer is set")
        self.now_s += TICK_S if ready or not timeout else max(timeout, TICK_S)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock starts at 0 and jumps to the next timer."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._jumping.now_s


def run_virtual(main: Coroutine[object, object, T]) -> T:
    """Run `main` on a virtual clock that starts at 0. Where a loop is already running, call it in another thread."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
