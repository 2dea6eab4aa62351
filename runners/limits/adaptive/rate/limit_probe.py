"""Probes of a known window: one request more than its limit, now and then. If it is accepted, two more are tried, then four."""

from __future__ import annotations

FIRST = 0.5
"""Time to the first probe of a window whose length has just been found, in windows."""
BUDGET = 0.004
"""Share of requests that probing may cost."""
RARER, MOST_WINDOWS = 1.5, 4.0
"""Factor on the time between probes after a refused one, and the longest time in windows."""


class LimitProbe:
    """The schedule of the probes of one limiter."""

    def __init__(self) -> None:
        self.ticket: int | None = None
        """The number of the request that is the current probe."""
        self._windows = 1.0
        self._due_at = 0.0
        self._step = 1

    def begin(self, window_s: float, goodput: float, now: float, *, is_new: bool) -> None:
        """Schedule the next probe after the limit was met; `is_new` if the length of its window has just been found."""
        if is_new:
            self.ticket, self._step, self._windows = None, 1, 1.0
            self._due_at = now + FIRST * window_s
        else:
            self.refused(window_s, goodput, now)

    def is_due(self, now: float) -> bool:
        """Return whether a request above the limit may be sent."""
        return self.ticket is None and now >= self._due_at

    def accepted(self) -> int:
        """Return how many requests more than before the limit allows; the next probe is due at once."""
        self.ticket = None
        step, self._step = self._step, 2 * self._step
        return step

    def refused(self, window_s: float, goodput: float, now: float) -> None:
        """Wait for the next probe."""
        self.ticket, self._step = None, 1
        self._windows = min(MOST_WINDOWS, RARER * self._windows)
        self._wait(window_s, goodput, now)

    def _wait(self, window_s: float, goodput: float, now: float) -> None:
        budgeted_s = min(MOST_WINDOWS * window_s, 1 / (BUDGET * max(0.05, goodput)))
        self._due_at = now + max(self._windows * window_s, budgeted_s)
