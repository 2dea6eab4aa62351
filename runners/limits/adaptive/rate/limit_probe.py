"""Probes of a window whose length was guessed: a request before the window has room. If it is accepted, the window is shorter."""

from __future__ import annotations

import math

FIRST = 0.5
"""Time to the first probe after the limit was met, in windows."""
RARER, MOST_WINDOWS = 1.5, 4.0
"""Factor on the time between probes after a refused one, and the longest time in windows."""
EXACT = 0.96
"""A window that is known to be longer than this share of its length is known exactly."""


class LimitProbe:
    """The schedule of the probes of one limiter."""

    def __init__(self) -> None:
        self.ticket: int | None = None
        """The number of the request that is the current probe."""
        self._age_s = 0.0
        """The length of the window that the current probe tests."""
        self._low_s = 0.0
        """A window of this length was found too short."""
        self._windows = 1.0
        self._due_at = 0.0

    def begin(self, window_s: float, low_s: float, now: float) -> None:
        """Schedule the next probe of a window that is longer than `low_s`, after its limit was met."""
        self.ticket, self._low_s, self._windows = None, low_s, 1.0
        self._due_at = now + FIRST * window_s

    def is_exact(self, window_s: float) -> bool:
        """Return whether a window that is a little shorter was found too short."""
        return self._low_s > EXACT * window_s

    def due_at(self, window_s: float, room_at: float, now: float) -> float:
        """Return when the next request is to be sent as a probe, if the window has room at `room_at`."""
        if self.ticket is not None or now < self._due_at:
            return math.inf
        return room_at - 0.5 * (window_s - self._low_s)

    def sent(self, ticket: int, age_s: float) -> None:
        """Note that a probe was sent, which shows whether the window is longer than `age_s`."""
        self.ticket, self._age_s = ticket, age_s

    def accepted(self) -> float:
        """Return the length of the window that the probe has shown; the next probe is due at once."""
        self.ticket = None
        return self._age_s

    def refused(self, window_s: float, now: float) -> None:
        """Wait for the next probe, which tests a longer window."""
        self.ticket, self._low_s = None, max(self._low_s, self._age_s)
        self._due_at = now + self._windows * window_s
        self._windows = min(MOST_WINDOWS, RARER * self._windows)
