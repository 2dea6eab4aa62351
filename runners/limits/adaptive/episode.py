"""A stretch of refusals with one cause: from the first one until a request is let in again, with what the ledger showed when it began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..stated import UNSTATED, StatedQuota
from .concurrency.in_flight import InFlightRequest
from .ledger import REQUESTS, WINDOWS_S, Amounts, SendLedger

REFILLS = 5.0
"""A bucket that took so many times longer to refill than the sends before it came apart would have emptied long ago."""
FEW, FEW_S = 10.0, 6.0
"""After fewer requests than this a bucket is given so long."""


@dataclass(slots=True)
class Episode:
    at: float
    """When the first refused request was sent: what was accepted by then met the limit."""
    known_at: float
    """When its last refusal was known: refusals of what was sent before say nothing new."""
    counts: list[list[float]]
    """Over each of windows_s at `at`."""
    accepted: list[float]
    """In each unit ever, at `at`."""
    capped_s: float
    """Under the concurrency cap ever, at `at`."""
    cost: Amounts
    level: int
    flow_until: float
    """Until then the limit may be a flow that refills slowly; after that a window is likelier."""
    running_s: float = 60.0
    """Since the first request, at `at`."""
    retry_after_s: float = 0.0
    told_until: float = 0.0
    told_window: bool = False
    """Retry-After was too long for a bucket."""
    refused_trials: int = 0
    refused_here: int = 0
    """Trials refused since its level was last raised."""
    tries: int = 0
    """Requests sent since the gate opened; one, unless the clock is coarse."""
    is_early: bool = False
    """The trial goes out before Retry-After is over."""
    latest: list[float] = field(default_factory=list)
    """Over the window of its level at the last refused trial."""

    windows_s: Sequence[float] = WINDOWS_S
    has_new_window: bool = False
    stated: StatedQuota = UNSTATED

    def resize(self, window: int, seconds: float, ledger: SendLedger) -> None:
        """Count over another time what led to it."""
        self.windows_s = [*self.windows_s[:window], seconds, *self.windows_s[window + 1 :]]
        self.counts[window] = ledger.between(self.at - seconds, self.at)
        self.has_new_window = True

    def absorb(self, other: Episode) -> None:
        """Both met the same limit: what led to it was accepted from both."""
        self.level = max(self.level, other.level)
        self.known_at = max(self.known_at, other.known_at)
        self.running_s = max(self.running_s, other.running_s)
        if other.told_until > self.told_until:
            self.told_until, self.retry_after_s = other.told_until, other.retry_after_s
        self.told_window = self.told_window or other.told_window
        self.accepted = [sum(pair) for pair in zip(self.accepted, other.accepted, strict=True)]
        self.counts = [
            [sum(pair) for pair in zip(*both, strict=True)] for both in zip(self.counts, other.counts, strict=True)
        ]

    def count_beside(self, ledger: SendLedger, now: float) -> None:
        """What another limiter of the same quota had accepted led to it, too, though none of that was refused."""
        for window, counts in zip(self.windows_s, self.counts, strict=True):
            for unit, amount in enumerate(ledger.between(self.at - window, self.at)):
                counts[unit] += amount
        later = ledger.between(self.at, now)
        self.accepted = [
            mine + its - after for mine, its, after in zip(self.accepted, ledger.total, later, strict=True)
        ]

    def correct(self, flight: InFlightRequest, by: Amounts) -> None:
        """Something sent before it began turned out to cost another amount."""
        if flight.sent_at >= self.at:
            return
        for window, counts in zip(self.windows_s, self.counts, strict=True):
            if flight.sent_at > self.at - window:
                for unit in range(4):
                    counts[unit] += by[unit]
        for unit in range(4):
            self.accepted[unit] += by[unit]


@dataclass(frozen=True, slots=True)
class EpisodeContext:
    """What an episode begins in."""

    ledger: SendLedger
    level: int
    capped_s: float
    running_s: float
    now: float


def begin(flight: InFlightRequest, scene: EpisodeContext) -> Episode:
    """What the server had accepted when it said no: everything before the refused request, which is out of the ledger by now."""
    ledger, at = scene.ledger, flight.sent_at
    counts = [ledger.between(at - window, at) for window in ledger.windows_s]
    later = ledger.between(at, scene.now)
    accepted = [total - after for total, after in zip(ledger.total, later, strict=True)]
    flow_until = at + _slowest_refill_s(counts[1][REQUESTS], scene.running_s)
    running_s = max(0.5, scene.running_s - (scene.now - at))
    return Episode(
        at,
        scene.now,
        counts,
        accepted,
        scene.capped_s,
        flight.amounts,
        scene.level,
        flow_until,
        running_s,
        windows_s=tuple(ledger.windows_s),
    )


def _slowest_refill_s(lately: float, running_s: float) -> float:
    """`lately` is what was accepted in ten seconds; few say little about the rate."""
    rate = max(1.0, lately) / min(WINDOWS_S[1], max(1.0, running_s))
    return REFILLS / rate if lately >= FEW else max(FEW_S, REFILLS / rate)
