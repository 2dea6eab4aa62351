"""Which window is it? At refusals by a window of 10 or 60 s its count is the same every time, whatever the other one shows."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ..episode import Episode
from ..ledger import REQUESTS
from .unit_inference import variation

CANDIDATES = (1, 2)
"""Indices into WINDOWS_S."""
KEPT = 6
FEWEST = 3
SAME = 0.0015
"""Variation of a window that is found again and again ..."""
CLEARER = 0.05
"""... at most this share of the other window's ..."""
VARIED = 0.08
"""... which must have varied so much itself: while sends are even, every window looks the same each time."""
MANY = 30.0
"""Requests in a window: fewer agree by chance."""
NEW = 12.0
"""Requests accepted between the first and the last: one moment seen thrice says nothing."""


class WindowCandidates:
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
        if len(self._counts) < FEWEST or self._accepted[-1] - self._accepted[-FEWEST] < NEW:
            return None
        for window, other in (CANDIDATES, CANDIDATES[::-1]):
            if window != level and self._explains(window, other):
                return window
        return None

    def samples(self, window: int) -> list[list[float]]:
        return [list(counts[window]) for counts in list(self._counts)[-FEWEST:]]

    def _explains(self, window: int, other: int) -> bool:
        found, beside = self._variation(window), self._variation(other)
        is_many = self._counts[-1][window][REQUESTS] >= MANY
        return is_many and found <= SAME and beside >= VARIED and found <= CLEARER * beside

    def _variation(self, window: int) -> float:
        """Of the unit that varies least."""
        samples = self.samples(window)
        return min(variation([sample[unit] for sample in samples]) for unit in range(4))
