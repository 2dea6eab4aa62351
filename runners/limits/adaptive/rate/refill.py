"""The refill rate of a bucket of any size: what was accepted between two moments at which it was empty, divided by the time between.

At a refusal the bucket holds less than one request. So n accepted requests in t seconds mean n - 1 < rate · t < n + 1: exact for many
requests, an interval for few. A short interval is combined with earlier ones as long as they agree; if they do not, the refill rate has
changed and the earlier ones are ignored.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ..episode import Episode

ALONE = 30.0
"""Requests after which an interval needs no other: its error is 3 %."""
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
    """The rates per second in each unit, and the number of requests that they are computed from."""

    rates: list[float]
    requests: float

    @property
    def stands_alone(self) -> bool:
        """Whether it has enough requests to be used alone."""
        return self.requests >= ALONE


class RefillEstimator:
    """The estimator of a bucket's refill rate."""

    def __init__(self) -> None:
        self._empty: deque[EmptyBucket] = deque(maxlen=REMEMBERED)

    def forget(self) -> None:
        """Forget all refusals."""
        self._empty.clear()

    def measure(self, episode: Episode) -> RefillInterval | None:
        """Return the refill rate up to this refusal; None at the first refusal, which ends a burst of unknown size."""
        interval: RefillInterval | None = None
        low, high = 0.0, float("inf")
        for empty in reversed(self._empty):
            seconds = _between_s(empty, episode)
            requests = episode.accepted[0] - empty.accepted[0]
            if max(low, (requests - 1) / seconds) > min(high, (requests + 1) / seconds):
                break
            low, high = max(low, (requests - 1) / seconds), min(high, (requests + 1) / seconds)
            interval = RefillInterval(_rates(empty, episode, seconds, requests), requests)
            if interval.stands_alone:
                break
        self._empty.append(EmptyBucket(episode.at, tuple(episode.accepted), episode.capped_s))
        return interval


def _between_s(empty: EmptyBucket, episode: Episode) -> float:
    """Return the time between, without the time under the concurrency cap, in which the rate was not tested."""
    return max(SHORTEST_S, episode.at - empty.at - (episode.capped_s - empty.capped_s))


def _rates(empty: EmptyBucket, episode: Episode, seconds: float, requests: float) -> list[float]:
    """Return the rates; of few requests the upper end: a rate that is too high is refused at once, one that is too low only shows later."""
    more = 1.0 if requests < ALONE else 0.0
    return [(episode.accepted[unit] - empty.accepted[unit] + more * episode.cost[unit]) / seconds for unit in range(4)]
