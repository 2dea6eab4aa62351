"""An episode: refusals with one cause, from the first one until a request is accepted again, with the counts of the ledger at its start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..stated import UNSTATED, StatedQuota
from .concurrency.in_flight import InFlightRequest
from .ledger import REQUESTS, WINDOWS_S, Amounts, SendLedger

Doubt = Literal["chance", "slot"]
"""A refusal by chance, which says nothing of the next request, or for want of a slot, which an answer frees."""
REFILLS = 5.0
"""Longest refill time of one request in a bucket, as a multiple of the interval between the sends before the refusal."""
FEW, FEW_S = 10.0, 3.0
"""With fewer than this number of requests, the refill time is at least this long."""


@dataclass(slots=True)
class Episode:
    """A period of refusals under one rate limit, and what was accepted before it."""

    at: float
    """When the first refused request was sent: the requests accepted by then had reached the limit."""
    known_at: float
    """When its last refusal arrived: refusals of requests sent before that give no new information."""
    counts: list[list[float]]
    """Amounts accepted in each of windows_s, at `at`."""
    accepted: list[float]
    """Total amounts accepted in each unit, at `at`."""
    capped_s: float
    """Total time under the concurrency cap, at `at`."""
    cost: Amounts
    level: int
    flow_until: float
    """Until then the limit may be a slowly refilling flow; after it a window is more likely."""
    running_s: float = 60.0
    """Time since the first request, at `at`."""
    retry_after_s: float = 0.0
    retry_until: float = 0.0
    names_window: bool = False
    """Retry-After was too long for a bucket."""
    refused_trials: int = 0
    refused_here: int = 0
    """Number of trials refused since its level was last raised."""
    tries: int = 0
    """Requests sent since the gate opened; one, unless the clock is coarse."""
    is_early: bool = False
    """Whether the trial is sent before Retry-After is over."""
    doubts: list[Doubt] = field(default_factory=list)
    """Other causes than a rate limit that are still to be tested, each by one trial."""
    trial: Doubt | None = None
    """The cause that the current trial tests; None where it is a rate limit."""
    beside: int = 0
    """Number of other requests in flight at the first refusal."""
    burst: int = 0
    """Number of refusals of requests that were sent before the first one was known."""
    window_s: float = 0.0
    """Length of the window that the next trial tests; 0 for a flow."""
    stated_s: float = 0.0
    """Length of the window that Retry-After may state, where no other is known."""
    has_constant_wait: bool = False
    """Whether a trial was told the same Retry-After as the first refusal, a while later."""
    was_answered: bool = False
    """Whether a request was answered since it began, which frees a slot."""
    slot_trials: int = 0
    """Number of refused trials that tested whether a slot was missing."""
    chance_trials: int = 0
    """Number of refused trials that tested whether refusals come by chance."""
    is_known: bool = False
    """Whether the length of the window was known at its start."""
    is_about_slots: bool = False
    """Whether a limit of requests in flight is known, so that an answer frees what was refused."""
    latest: list[float] = field(default_factory=list)
    """Amounts in the window of its level at the last refused trial."""

    windows_s: Sequence[float] = WINDOWS_S
    has_new_window: bool = False
    stated: StatedQuota = UNSTATED

    @property
    def expected_window_s(self) -> float:
        """Length of the window that is known or stated; 0 for none."""
        return self.windows_s[self.level] if self.level else self.stated_s

    def resize(self, window: int, seconds: float, ledger: SendLedger) -> None:
        """Change the length of one window and count its amounts again."""
        self.windows_s = [*self.windows_s[:window], seconds, *self.windows_s[window + 1 :]]
        self.counts[window] = ledger.between(self.at - seconds, self.at)
        self.has_new_window = True

    def absorb(self, other: Episode) -> None:
        """Add the counts of `other`: both limiters met the same limit. A doubt that one of them has dropped is refuted for both."""
        self.doubts = [doubt for doubt in self.doubts if doubt in other.doubts]
        self.level = max(self.level, other.level)
        self.known_at = max(self.known_at, other.known_at)
        self.running_s = max(self.running_s, other.running_s)
        if other.retry_until > self.retry_until:
            self.retry_until, self.retry_after_s = other.retry_until, other.retry_after_s
        self.names_window = self.names_window or other.names_window
        self.accepted = [sum(pair) for pair in zip(self.accepted, other.accepted, strict=True)]
        self.counts = [
            [sum(pair) for pair in zip(*both, strict=True)] for both in zip(self.counts, other.counts, strict=True)
        ]

    def count_beside(self, ledger: SendLedger, now: float) -> None:
        """Add what another limiter of the same quota had accepted; it was not refused itself."""
        for window, counts in zip(self.windows_s, self.counts, strict=True):
            for unit, amount in enumerate(ledger.between(self.at - window, self.at)):
                counts[unit] += amount
        later = ledger.between(self.at, now)
        self.accepted = [
            own + other - after for own, other, after in zip(self.accepted, ledger.total, later, strict=True)
        ]

    def correct(self, request: InFlightRequest, by: Amounts) -> None:
        """Correct the counts when the amount of a request that they hold changes."""
        if request.entry.at > self.at:
            return
        for window, counts in zip(self.windows_s, self.counts, strict=True):
            if request.entry.at > self.at - window:
                for unit in range(4):
                    counts[unit] += by[unit]
        for unit in range(4):
            self.accepted[unit] += by[unit]


@dataclass(frozen=True, slots=True)
class EpisodeContext:
    """The state of the limiter in which an episode begins."""

    ledger: SendLedger
    level: int
    capped_s: float
    running_s: float
    now: float


def begin(request: InFlightRequest, context: EpisodeContext) -> Episode:
    """Build an episode: it counts everything accepted before the refused request, which was removed from the ledger."""
    ledger, at = context.ledger, request.sent_at
    counts = [ledger.between(at - window, at) for window in ledger.windows_s]
    later = ledger.between(at, context.now)
    accepted = [total - after for total, after in zip(ledger.total, later, strict=True)]
    flow_until = at + _slowest_refill_s(counts[1][REQUESTS], context.running_s)
    running_s = max(0.5, context.running_s - (context.now - at))
    return Episode(
        at,
        context.now,
        counts,
        accepted,
        context.capped_s,
        request.amounts,
        context.level,
        flow_until,
        running_s,
        beside=request.beside,
        windows_s=tuple(ledger.windows_s),
    )


def _slowest_refill_s(lately: float, running_s: float) -> float:
    """Return the longest plausible refill time; `lately` is the number of requests accepted in ten seconds."""
    rate = max(1.0, lately) / min(WINDOWS_S[1], max(1.0, running_s))
    return REFILLS / rate if lately >= FEW else max(FEW_S, REFILLS / rate)
