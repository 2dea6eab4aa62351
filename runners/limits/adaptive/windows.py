"""Which window is it? At refusals by a window of 10 or 60 s its count is the same every time, whatever the other one shows."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from .blame import variation
from .episode import Episode
from .ledger import REQUESTS, WINDOWS_S

KEPT = 6
FEWEST = 3
SAME = 0.004
"""Variation of a window that is found again and again ..."""
CLEARER = 0.25
"""... and how much smaller it is than that of the one taken so far."""
MANY = 30.0
"""Requests in a window: fewer agree by chance."""
TURNED_OVER = 0.1
"""Share of what fills the window that must have changed between the first and the last: one moment seen thrice says nothing."""


class Windows:
    def __init__(self) -> None:
        self._counts: deque[Sequence[Sequence[float]]] = deque(maxlen=KEPT)
        self._accepted: deque[float] = deque(maxlen=KEPT)

    def add(self, episode: Episode) -> None:
        self._counts.append([list(counts) for counts in episode.counts])
        self._accepted.append(episode.accepted[REQUESTS])

    def forget(self) -> None:
        self._counts.clear()
        self._accepted.clear()

    def clearer_than(self, level: int) -> int | None:
        """The window that explains the last refusals while the one at `level` (0: none) does not; None where there is no such."""
        if len(self._counts) < FEWEST:
            return None
        for window in range(1, len(WINDOWS_S)):
            found = self._variation(window)
            if window != level and found <= SAME and self._has_turned_over(window):
                return window if level == 0 or found <= CLEARER * self._variation(level) else None
        return None

    def samples(self, window: int) -> list[list[float]]:
        return [list(counts[window]) for counts in list(self._counts)[-FEWEST:]]

    def _variation(self, window: int) -> float:
        samples = self.samples(window)
        return min(variation([sample[unit] for sample in samples]) for unit in range(4))

    def _has_turned_over(self, window: int) -> bool:
        held = self._counts[-1][window][REQUESTS]
        new = self._accepted[-1] - self._accepted[-FEWEST]
        return held >= MANY and new >= TURNED_OVER * held
