"""Identification of the window: at the refusals of a window of 10 or 60 s its own count is equal every time, the other one's is not."""

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
"""Largest variation of the counts of the window that refuses."""
CLEARER = 0.05
"""Largest ratio of that variation to the variation of the other window."""
VARIED = 0.08
"""Smallest variation of the other window: while sends are even, the counts of both windows are constant."""
MANY = 30.0
"""Fewest requests in the window: smaller counts agree by chance."""
NEW = 12.0
"""Fewest requests accepted between the first and the last refusal: the same moment three times is no evidence."""


class WindowCandidates:
    """The counts of both windows at the last refusals."""

    def __init__(self) -> None:
        self._counts: deque[Sequence[Sequence[float]]] = deque(maxlen=KEPT)
        self._accepted: deque[float] = deque(maxlen=KEPT)

    def add(self, episode: Episode) -> None:
        """Add the counts at the start of an episode."""
        self._counts.append([list(counts) for counts in episode.counts])
        self._accepted.append(episode.accepted[REQUESTS])

    def forget(self) -> None:
        """Forget all counts."""
        self._counts.clear()
        self._accepted.clear()

    def clearer_than(self, level: int) -> int | None:
        """Return the window that explains the last refusals better than the one at `level` (0 for none); None if there is none."""
        if len(self._counts) < FEWEST or self._accepted[-1] - self._accepted[-FEWEST] < NEW:
            return None
        for window, other in (CANDIDATES, CANDIDATES[::-1]):
            if window != level and self._explains(window, other):
                return window
        return None

    def samples(self, window: int) -> list[list[float]]:
        """Return the counts of `window` at the last refusals, in each unit."""
        return [list(counts[window]) for counts in list(self._counts)[-FEWEST:]]

    def _explains(self, window: int, other: int) -> bool:
        own, others = self._variation(window), self._variation(other)
        is_many = self._counts[-1][window][REQUESTS] >= MANY
        return is_many and own <= SAME and others >= VARIED and own <= CLEARER * others

    def _variation(self, window: int) -> float:
        """Return the variation of the unit that varies least."""
        samples = self.samples(window)
        return min(variation([sample[unit] for sample in samples]) for unit in range(4))
