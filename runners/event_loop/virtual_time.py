"""An event loop whose clock jumps to the next timer when nothing is ready: an hour of waiting takes no time, in the same order of events.

For one loop without threads and sockets. Where everything waits and no timer is set, nothing will ever happen: that is an error here.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


TICK_S = 1e-9
"""Every turn of the loop takes a moment, as in life: a timer that rounds to "now" cannot come again for ever without time passing."""


class LoopStalled(RuntimeError):
    """Every task waits for something that nobody will do."""


class _JumpingSelector(selectors.SelectSelector):
    """Reports what is ready and lets time pass instead of waiting for more."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise LoopStalled("every task waits and no timer is set")
        self.now_s += TICK_S if ready or not timeout else max(timeout, TICK_S)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


def run_virtual(main: Coroutine[object, object, T]) -> T:
    """Run `main` on a virtual clock that starts at 0; in a thread of its own where a loop is running already."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
