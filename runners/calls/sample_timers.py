"""The deadlines of all open samples, under one timer: a sample costs a timer of its own only when its deadline is the next."""

from __future__ import annotations

import asyncio
import math
from typing import Protocol


class TimedSample(Protocol):
    """A sample with a deadline; a SampleClient provides it."""

    deadline: float
    """Loop time."""

    def cut_off(self) -> None:
        """Cancel the sample: its deadline has come."""
        ...


class SampleTimers:
    """The samples that are cut off at their deadline."""

    def __init__(self) -> None:
        self._open: dict[TimedSample, None] = {}
        self._fires_at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def start(self, sample: TimedSample) -> None:
        """Cut `sample` off at its deadline, unless it is stopped before."""
        self._open[sample] = None
        if sample.deadline < self._fires_at:
            self._arm(sample.deadline)

    def stop(self, sample: TimedSample) -> None:
        """Do not cut `sample` off any more; without effect if it is not timed."""
        self._open.pop(sample, None)
        if not self._open:
            self._arm(math.inf)

    def _arm(self, fires_at: float) -> None:
        """Fire at `fires_at` only; never if it is infinite."""
        if self._timer is not None:
            self._timer.cancel()
        self._fires_at = fires_at
        self._timer = None
        if fires_at < math.inf:
            self._timer = asyncio.get_running_loop().call_at(fires_at, self._fire)

    def _fire(self) -> None:
        """Cut off the samples whose deadline has come, and set the timer for the next one."""
        due_s = max(self._fires_at, asyncio.get_running_loop().time())
        for sample in [sample for sample in self._open if sample.deadline <= due_s]:
            del self._open[sample]
            sample.cut_off()
        self._arm(min((sample.deadline for sample in self._open), default=math.inf))
