"""The client of a load test, watched while it sends: a busy client adds to every latency."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

WATCH_EVERY_S = 0.05


class ClientWatch:
    """The lag of the event loop, sampled at intervals, and the share of a core that this process used."""

    def __init__(self) -> None:
        self.lags_s: list[float] = []
        self._began = (time.monotonic(), time.process_time())

    def cpu_share(self) -> float:
        """Return the share of a core that this process has used so far."""
        return (time.process_time() - self._began[1]) / max(time.monotonic() - self._began[0], 1e-9)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Measure the lag in the block."""
        loop = asyncio.get_running_loop()
        handle: asyncio.TimerHandle

        def measure(due: float) -> None:
            nonlocal handle
            self.lags_s.append(max(0.0, loop.time() - due))
            handle = loop.call_at(loop.time() + WATCH_EVERY_S, measure, loop.time() + WATCH_EVERY_S)

        handle = loop.call_at(loop.time() + WATCH_EVERY_S, measure, loop.time() + WATCH_EVERY_S)
        try:
            yield
        finally:
            handle.cancel()
