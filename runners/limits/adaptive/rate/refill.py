"""Refill of a bucket of any size: what was accepted between two moments at which it was empty, over the time between.

At a refusal the bucket holds less than one request. So n accepts within t seconds say n - 1 < rate t < n + 1: exact after many
requests, an interval after few. Few are put together with the stretch before as long as the intervals agree; where they do not, the
refill has changed and the past says nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ..episode import Episode

ALONE = 30.0
"""Requests after which a stretch needs no other: 3 % of error."""
REMEMBERED = 12
SHORTEST_S = 0.05


@dataclass(frozen=True, slots=True)
class EmptyBucket:
    """A moment at which the bucket was empty."""

    at: float
    accepted: tuple[float, ...]
    capped_s: float


@dataclass(frozen=True, slots=True)
class RefillInterval:
    """Rates per second in each unit, from so many requests."""

    rates: list[float]
    requests: float

    @property
    def stands_alone(self) -> bool:
        return self.requests >= ALONE


class RefillEstimator:
    def __init__(self) -> None:
        self._empty: deque[EmptyBucket] = deque(maxlen=REMEMBERED)

    def forget(self) -> None:
        self._empty.clear()

    def measure(self, episode: Episode) -> RefillInterval | None:
        """The refill up to this refusal; None for the first one, which ends a burst of unknown size."""
        found: RefillInterval | None = None
        low, high = 0.0, float("inf")
        for empty in reversed(self._empty):
            seconds = _between_s(empty, episode)
            requests = episode.accepted[0] - empty.accepted[0]
            if max(low, (requests - 1) / seconds) > min(high, (requests + 1) / seconds):
                break
            low, high = max(low, (requests - 1) / seconds), min(high, (requests + 1) / seconds)
            found = RefillInterval(_rates(empty, episode, seconds, requests), requests)
            if found.stands_alone:
                break
        self._empty.append(EmptyBucket(episode.at, tuple(episode.accepted), episode.capped_s))
        return found


def _between_s(empty: EmptyBucket, episode: Episode) -> float:
    """Without the time under the concurrency cap, in which the rate was not put to the test."""
    return max(SHORTEST_S, episode.at - empty.at - (episode.capped_s - empty.capped_s))


def _rates(empty: EmptyBucket, episode: Episode, seconds: float, requests: float) -> list[float]:
    """Of few requests the upper end: too high shows at once, too low only when the limit is next put to the test."""
    more = 1.0 if requests < ALONE else 0.0
    return [(episode.accepted[unit] - empty.accepted[unit] + more * episode.cost[unit]) / seconds for unit in range(4)]
