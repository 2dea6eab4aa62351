"""Hidden limits as pure classes on a given clock: sliding window, fixed window, token bucket, and the quota that combines them.

A meter admits an amount if and only if `ready_at` is not later than now. The wait that a refusal names is therefore exact: it is the
earliest time at which the same request would be admitted if nothing else were counted. Amounts are whole numbers. Nothing here reads a
clock, so the server and simulations with virtual time share this code.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..settings.provider import EndpointSettings

DAY_S = 86_400.0
Unit = Literal["requests", "tokens", "concurrency"]


class Meter(Protocol):
    """A limit on one unit."""

    def ready_at(self, amount: int, now: float) -> float:
        """Compute the earliest time, not before now, at which `amount` fits; infinity where it never fits."""
        ...

    def count(self, amount: int, now: float) -> None:
        """Count `amount`, whether it fits or not: tokens that are counted at the end of a request may exceed the limit."""
        ...

    def remaining(self, now: float) -> float:
        """Compute the remaining amount, 0 or more."""
        ...

    def full_at(self, now: float) -> float:
        """Compute when the full limit is available again, as x-ratelimit-reset-* reports."""
        ...


class SlidingWindow:
    """A meter of at most `limit` within any half-open interval of `window_s`; an amount expires exactly `window_s` after its count."""

    def __init__(self, limit: float, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s
        self._counted: deque[tuple[float, int]] = deque()
        """(time of expiry, amount), oldest first."""
        self._used = 0

    def ready_at(self, amount: int, now: float) -> float:
        """Compute the earliest time at which `amount` fits; infinity where it exceeds the limit."""
        if amount > self._limit:
            return math.inf
        self._forget(now)
        surplus = self._used + amount - self._limit
        if surplus <= 0:
            return now
        for expires_at, expired_amount in self._counted:
            surplus -= expired_amount
            if surplus <= 0:
                return expires_at
        return now

    def count(self, amount: int, now: float) -> None:
        """Count `amount` until `window_s` after now."""
        self._counted.append((now + self._window_s, amount))
        self._used += amount

    def remaining(self, now: float) -> float:
        """Compute the amount that is free within the window."""
        self._forget(now)
        return max(0.0, self._limit - self._used)

    def full_at(self, now: float) -> float:
        """Compute when the last counted amount expires."""
        self._forget(now)
        return self._counted[-1][0] if self._counted else now

    def _forget(self, now: float) -> None:
        counted = self._counted
        while counted and counted[0][0] <= now:
            self._used -= counted.popleft()[1]


class FixedWindow:
    """A meter of at most `limit` between consecutive multiples of `window_s`, measured from the first request."""

    def __init__(self, limit: float, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s
        self._origin: float | None = None
        self._ends_at = -math.inf
        self._used = 0

    def ready_at(self, amount: int, now: float) -> float:
        """Compute the earliest time at which `amount` fits; infinity where it exceeds the limit."""
        if amount > self._limit:
            return math.inf
        self._roll(now)
        return now if self._used + amount <= self._limit else self._ends_at

    def count(self, amount: int, now: float) -> None:
        """Count `amount` in the current window."""
        self._roll(now)
        self._used += amount

    def remaining(self, now: float) -> float:
        """Compute the amount that is free in the current window."""
        self._roll(now)
        return max(0.0, self._limit - self._used)

    def full_at(self, now: float) -> float:
        """Compute the end of the current window; now where nothing is counted in it."""
        self._roll(now)
        return self._ends_at if self._used else now

    def _roll(self, now: float) -> None:
        if now < self._ends_at:
            return
        if self._origin is None:
            self._origin = now
        index = math.floor((now - self._origin) / self._window_s)
        ends_at = self._origin + (index + 1) * self._window_s
        self._ends_at = ends_at if ends_at > now else self._origin + (index + 2) * self._window_s
        self._used = 0


class TokenBucket:
    """A meter of `capacity` at once, refilled at `rate` per second.

    The state is the time at which the bucket is full again (GCRA), because a level would be rounded at every refill.
    """

    def __init__(self, rate: float, capacity: float) -> None:
        self._rate = rate
        self._capacity = capacity
        self._full_at = -math.inf

    def ready_at(self, amount: int, now: float) -> float:
        """Compute the earliest time at which `amount` fits; infinity where it exceeds the capacity."""
        if amount > self._capacity:
            return math.inf
        return max(now, self._full_at + (amount - self._capacity) / self._rate)

    def count(self, amount: int, now: float) -> None:
        """Take `amount` from the bucket."""
        self._full_at = max(now, self._full_at) + amount / self._rate

    def remaining(self, now: float) -> float:
        """Compute the level of the bucket."""
        return max(0.0, self._capacity - max(0.0, self._full_at - now) * self._rate)

    def full_at(self, now: float) -> float:
        """Compute when the bucket is full again."""
        return max(now, self._full_at)


@dataclass(frozen=True, slots=True)
class Admitted:
    """The admission of a request, with its time."""

    at: float


@dataclass(frozen=True, slots=True)
class QuotaRefusal:
    """The refusal of a request by a quota."""

    unit: Unit
    """The exceeded limit; the one with the longer wait where both are exceeded."""
    ready_at: float | None
    """Earliest time of admission: infinity where the request is larger than the limit, None where another request must end first."""
    retry_after_s: float | None
    """The wait that the server reports, which may be wrong."""


@dataclass(frozen=True, slots=True)
class QuotaLevel:
    """The state of one limit, for headers."""

    limit: float
    """Per minute; for a daily quota, per day."""
    remaining: float
    reset_s: float


class Quota:
    """All limits of one endpoint. Call `finish` once after each `Admitted`."""

    def __init__(self, settings: EndpointSettings) -> None:
        self._settings = settings
        build = METERS[settings.quota]
        self._requests = None if settings.rpm is None else build(settings.rpm, settings)
        self._tokens = None if settings.tpm is None else build(settings.tpm, settings)
        self._day = None if settings.rpd is None else TokenBucket(settings.rpd / DAY_S, max(1.0, settings.rpd))
        self.inside = 0

    def admit(self, tokens: int, now: float) -> Admitted | QuotaRefusal:
        """Admit one request, or return the exceeded limit. `tokens` is the estimate of the request: prompt + max_tokens."""
        if self._settings.concurrency is not None and self.inside >= self._settings.concurrency:
            return QuotaRefusal("concurrency", None, None)
        unit, ready_at = self._binding(tokens, now)
        if ready_at > now:
            return QuotaRefusal(unit, ready_at, self._reported_wait_s(ready_at - now))
        self.inside += 1
        for meter in (self._requests, self._day):
            if meter is not None:
                meter.count(1, now)
        if self._tokens is not None and self._settings.tokens == "estimate":
            self._tokens.count(tokens, now)
        return Admitted(now)

    def finish(self, tokens: int, now: float) -> None:
        """Record that a request ended; `tokens` is the amount that it used."""
        self.inside -= 1
        if self._tokens is not None and self._settings.tokens == "actual" and tokens:
            self._tokens.count(tokens, now)

    def levels(self, now: float) -> tuple[QuotaLevel | None, QuotaLevel | None]:
        """Read the levels of requests and tokens; None where there is no limit."""
        return _level(self._requests, self._settings.rpm, now), _level(self._tokens, self._settings.tpm, now)

    def day_level(self, now: float) -> QuotaLevel | None:
        """Read the level of the requests of a day; None where there is no such limit."""
        return _level(self._day, self._settings.rpd, now)

    def _binding(self, tokens: int, now: float) -> tuple[Unit, float]:
        requests_at = max((meter.ready_at(1, now) for meter in (self._requests, self._day) if meter), default=now)
        if self._tokens is None:
            return "requests", requests_at
        amount = tokens if self._settings.tokens == "estimate" else 1  # counted at the end: one free token suffices
        tokens_at = self._tokens.ready_at(amount, now)
        return ("tokens", tokens_at) if tokens_at > requests_at else ("requests", requests_at)

    def _reported_wait_s(self, wait_s: float) -> float | None:
        if self._settings.retry_after == "none" or math.isinf(wait_s):
            return None
        return wait_s if self._settings.retry_after == "exact" else self._settings.window_s


def _level(meter: Meter | None, per_minute: float | None, now: float) -> QuotaLevel | None:
    if meter is None or per_minute is None:
        return None
    return QuotaLevel(per_minute, meter.remaining(now), meter.full_at(now) - now)


def _sliding(per_minute: float, settings: EndpointSettings) -> Meter:
    return SlidingWindow(per_minute * settings.window_s / 60, settings.window_s)


def _fixed(per_minute: float, settings: EndpointSettings) -> Meter:
    return FixedWindow(per_minute * settings.window_s / 60, settings.window_s)


def _bucket(per_minute: float, settings: EndpointSettings) -> Meter:
    burst_s = settings.window_s if settings.burst_s is None else settings.burst_s
    return TokenBucket(per_minute / 60, max(1.0, per_minute / 60 * burst_s))


METERS: dict[str, Callable[[float, EndpointSettings], Meter]] = {
    "sliding": _sliding,
    "fixed": _fixed,
    "bucket": _bucket,
}
