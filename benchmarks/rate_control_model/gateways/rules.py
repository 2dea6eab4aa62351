"""Admission rules of gateways that mislead: what they refuse, and what they state, is not what a quota of their limit would."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from providers.messages import RateLimitHint
from providers.simulator.limits.quota import Meter

from ..admission import SILENT, Open, Refusal
from ..requests import Request

Wait = Literal["exact", "window", "none"]
"""The Retry-After of a refusal: the true wait, always the length of the window, or none."""


def concurrency_words() -> RateLimitHint:
    """Return what is read from a refusal that names a limit of parallel requests."""
    return RateLimitHint(stated_kind="concurrency", stated_quota="max_parallel_requests")


def stated_wait_s(wait: Wait, window_s: float, true_s: float) -> float | None:
    """Return the Retry-After of a refusal, in whole milliseconds."""
    seconds = {"exact": true_s, "window": window_s, "none": None}[wait]
    return None if seconds is None else math.ceil(seconds * 1000) / 1000


class OpenedWindow:
    """A meter of at most `limit` within a window that the first request opens; the next one begins with the first request after it."""

    def __init__(self, limit: float, window_s: float) -> None:
        self._limit, self._window_s = limit, window_s
        self._ends_at, self._used = -math.inf, 0

    def ready_at(self, amount: int, now: float) -> float:
        """Compute the earliest time at which `amount` fits; infinity where it exceeds the limit."""
        if amount > self._limit:
            return math.inf
        return now if now >= self._ends_at or self._used + amount <= self._limit else self._ends_at

    def count(self, amount: int, now: float) -> None:
        """Count `amount`, and open a window where none is open."""
        if now >= self._ends_at:
            self._ends_at, self._used = now + self._window_s, 0
        self._used += amount

    def remaining(self, now: float) -> float:
        """Compute the amount that is free in the window."""
        return self._limit if now >= self._ends_at else max(0.0, self._limit - self._used)

    def full_at(self, now: float) -> float:
        """Compute the end of the window; now where none is open."""
        return max(now, self._ends_at)


class ParallelRequests(Open):
    """A rule that admits at most `seats` requests at a time and states the same long wait in every refusal."""

    def __init__(self, seats: int, wait_s: float, words: RateLimitHint = SILENT) -> None:
        self._seats, self._refusal = seats, Refusal(wait_s, words)

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:  # noqa: ARG002
        """Refuse where all seats are taken."""
        return self._refusal if inside >= self._seats else None


class Chance(Open):
    """A rule that refuses a share of the requests at random. How often each is refused is drawn per request, alike for every sender."""

    def __init__(self, share: float, wait_s: float | None, seed: str) -> None:
        self._share, self._refusal, self._seed = share, Refusal(wait_s, by_chance=True), seed
        self._left: dict[Request, int] = {}

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:  # noqa: ARG002
        """Refuse the request as often as was drawn for it."""
        left = self._left.setdefault(request, self.refusals_of(request))
        self._left[request] = left - 1
        return self._refusal if left > 0 else None

    def refusals_of(self, request: Request) -> int:
        """Draw how often the request is refused before it is admitted."""
        draw = random.Random(f"{self._seed} {request}")
        refusals = 0
        while draw.random() < self._share:
            refusals += 1
        return refusals


@dataclass(frozen=True, slots=True)
class Reserved:
    """The part of a window that another tenant takes between two times."""

    amount: int
    span: tuple[float, float]

    def at(self, now: float) -> int:
        """Return what is taken now."""
        return self.amount if self.span[0] <= now < self.span[1] else 0


class ReservedWindow(Open):
    """A window, of requests or of what `counts` says, of which another tenant takes a part between two times."""

    def __init__(
        self,
        meter: Meter,
        window_s: float,
        reserved: Reserved,
        wait: Wait,
        counts: Callable[[Request], int] = lambda _: 1,
    ) -> None:
        self._meter, self._window_s, self._reserved, self._wait, self._counts = meter, window_s, reserved, wait, counts

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:  # noqa: ARG002
        """Admit where the window has room beside the part of the other tenant."""
        amount = self._counts(request)
        ready_at = self._meter.ready_at(amount + self._reserved.at(now), now)
        if ready_at > now:
            return Refusal(stated_wait_s(self._wait, self._window_s, ready_at - now))
        self._meter.count(amount, now)
        return None


class SeveralCounters(Open):
    """A limit counted in several processes: each request goes to one of them at random.

    A refusal by one process is by chance where `by_chance` and another one has room.
    """

    def __init__(
        self, meters: Sequence[Meter], window_s: float, wait: Wait, draw: random.Random, *, by_chance: bool
    ) -> None:
        self._meters, self._window_s, self._wait, self._draw = meters, window_s, wait, draw
        self._by_chance = by_chance

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:  # noqa: ARG002
        """Admit where the process that gets the request has room."""
        meter = self._draw.choice(self._meters)
        ready_at = meter.ready_at(1, now)
        if ready_at <= now:
            meter.count(1, now)
            return None
        by_chance = self._by_chance and any(other.ready_at(1, now) <= now for other in self._meters)
        return Refusal(stated_wait_s(self._wait, self._window_s, ready_at - now), by_chance=by_chance)


class ResetAtMinute(Open):
    """A meter that is replaced by a new one at every minute of the server's clock, `phase_s` ahead of the run's."""

    def __init__(self, build: Callable[[], Meter], window_s: float, phase_s: float, wait: Wait) -> None:
        self._build, self._window_s, self._phase_s, self._wait = build, window_s, phase_s, wait
        self._meter, self._ends_at = build(), self._minute_end(0.0)

    def _minute_end(self, now: float) -> float:
        return (math.floor((now + self._phase_s) / 60) + 1) * 60 - self._phase_s

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:  # noqa: ARG002
        """Admit where the meter of this minute has room."""
        if now >= self._ends_at:
            self._meter, self._ends_at = self._build(), self._minute_end(now)
        ready_at = self._meter.ready_at(1, now)
        if ready_at <= now:
            self._meter.count(1, now)
            return None
        return Refusal(stated_wait_s(self._wait, self._window_s, ready_at - now))


class CountsRefused(Open):
    """A window that counts every request, the refused ones, too."""

    def __init__(self, meter: Meter, window_s: float, wait: Wait) -> None:
        self._meter, self._window_s, self._wait = meter, window_s, wait

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:  # noqa: ARG002
        """Admit where the window has room, and count the request in any case."""
        ready_at = self._meter.ready_at(1, now)
        self._meter.count(1, now)
        return Refusal(stated_wait_s(self._wait, self._window_s, ready_at - now)) if ready_at > now else None
