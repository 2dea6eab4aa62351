"""Common alternatives: a plain loop, fixed pacing, a semaphore with back-off, AIMD on concurrency, and the CUBIC rate of AWS clients."""

from __future__ import annotations

import random

from runners.limits.permit import Cost, Go, Settled, WaitForEvent, WaitUntil

PLAIN_WAIT_S, PLAIN_MOST_S = 1.0, 5.0


class Sleeper:
    """A semaphore with exponential back-off per refused request, or Retry-After. A sleeping request keeps its slot if `keeps_place`."""

    keeps_place = True
    first_s = 1.0

    def __init__(self, draw: random.Random, most: int) -> None:
        self._draw = draw
        self.taken = 0
        self.most = most

    def acquire(self, cost: Cost, now: float) -> Go | WaitUntil | WaitForEvent:  # noqa: ARG002
        """Allow a request while a slot is free."""
        if self.taken >= self.most:
            return WaitForEvent()
        self.taken += 1
        return Go(0)

    def settle(self, ticket: int, settled: Settled, now: float) -> None:  # noqa: ARG002
        """Free the slot, unless the request will sleep in it."""
        if settled.how == "succeeded" or not self.keeps_place:
            self.taken -= 1

    def sleep_s(self, tries: int, settled: Settled) -> float:
        """Return Retry-After with jitter, else an exponential back-off."""
        retry_after_s = settled.hint.retry_after_s if settled.hint else None
        if retry_after_s is not None:
            return retry_after_s + self._draw.uniform(0, 0.1)
        return min(60.0, self.first_s * 2.0 ** (tries - 1)) * self._draw.uniform(0.5, 1.0)

    def woke(self) -> None:
        """Free the slot of a request that slept in it."""
        if self.keeps_place:
            self.taken -= 1


class PlainLoop(Sleeper):
    """As many workers as given: each sends, and a refused request waits shortly in its worker and is sent again.

    It waits for Retry-After, or one second where none is given, but never much longer than five.
    """

    def sleep_s(self, tries: int, settled: Settled) -> float:  # noqa: ARG002
        """Return the wait of a refused request, with jitter."""
        retry_after_s = settled.hint.retry_after_s if settled.hint else None
        return min(retry_after_s or PLAIN_WAIT_S, PLAIN_MOST_S) * self._draw.uniform(0.9, 1.1)


class FixedPace(Sleeper):
    """One send every 1/rate seconds. It is an oracle, because it gets the true rate times a factor."""

    keeps_place = False

    def __init__(self, draw: random.Random, rate: float) -> None:
        super().__init__(draw, 10**6)
        self._gap_s = 1 / rate
        self._next_at = 0.0

    def acquire(self, cost: Cost, now: float) -> Go | WaitUntil | WaitForEvent:
        """Allow the next request at its time."""
        if now < self._next_at - 1e-9:
            return WaitUntil(self._next_at)
        self._next_at = max(self._next_at, now - 0.5 * self._gap_s) + self._gap_s
        return super().acquire(cost, now)


class ConcurrencyAimd(Sleeper):
    """Doubles per clean round until the first refusal, then adds 5 % per round and removes 20 % per refused burst, at most every 15 s."""

    first_s = 3.0

    def __init__(self, draw: random.Random) -> None:
        super().__init__(draw, 20)
        self._clean = 0
        self._doubling = True
        self._cool_until = 0.0

    def settle(self, ticket: int, settled: Settled, now: float) -> None:
        """Raise or lower the concurrency."""
        super().settle(ticket, settled, now)
        if settled.how == "throttled":
            self._fall(settled, now)
        elif settled.how == "succeeded" and now >= self._cool_until:
            self._clean += 1
            if self._clean >= max(4, self.most):
                self._rise()

    def _rise(self) -> None:
        self._clean = 0
        self.most = self.most * 2 if self._doubling else self.most + max(1, round(0.05 * self.most))

    def _fall(self, settled: Settled, now: float) -> None:
        self._clean, self._doubling = 0, False
        if now >= self._cool_until:
            retry_after_s = settled.hint.retry_after_s if settled.hint else None
            self.most = max(1, int(0.8 * self.most))
            self._cool_until = now + max(15.0, retry_after_s or 0.0)


class AwsCubic(Sleeper):
    """The "adaptive" retry mode of the AWS clients: a CUBIC rate behind a token bucket that the first refusal enables."""

    def __init__(self, draw: random.Random) -> None:
        super().__init__(draw, 64)
        self._on = False
        self._rate = self._room = self._level = 1.0
        self._filled_at = self._refused_at = 0.0
        self._best = self._back_s = 0.0
        self._measured = self._half_at = 0.0
        self._answers = 0

    def acquire(self, cost: Cost, now: float) -> Go | WaitUntil | WaitForEvent:
        """Allow a request when the bucket has a token."""
        if self._on and self.taken < self.most:
            self._fill(now)
            if self._level < 1 - 1e-6:
                return WaitUntil(now + (1 - self._level) / self._rate)
            self._level -= 1
        return super().acquire(cost, now)

    def settle(self, ticket: int, settled: Settled, now: float) -> None:
        """Update the rate."""
        super().settle(ticket, settled, now)
        self._measure(now)
        if settled.how == "throttled":
            rate = min(self._measured, self._rate) if self._on else self._measured
            self._best, self._back_s, self._refused_at, self._on = rate, (rate * 0.3 / 0.4) ** (1 / 3), now, True
            self._set_rate(0.7 * rate, now)
        else:
            self._set_rate(0.4 * (now - self._refused_at - self._back_s) ** 3 + self._best, now)

    def _measure(self, now: float) -> None:
        self._answers += 1
        half_at = int(now * 2) / 2
        if half_at > self._half_at:
            self._measured = 0.8 * self._answers / (half_at - self._half_at) + 0.2 * self._measured
            self._answers, self._half_at = 0, half_at

    def _set_rate(self, rate: float, now: float) -> None:
        self._fill(now)
        self._rate = max(0.5, min(rate, 2 * self._measured))
        self._room = max(1.0, self._rate)

    def _fill(self, now: float) -> None:
        self._level = min(self._room, self._level + self._rate * (now - self._filled_at))
        self._filled_at = now


PLAIN = "plain "
"""Start of a plain loop's name; the number of its workers per instance follows."""
RIVALS = ("fixed x 0.95", "semaphore 16", "semaphore 64", "AIMD concurrency", "CUBIC rate")


def build_rival(name: str, rate: float, draw: random.Random) -> Sleeper:
    """Build a controller; `rate` is the instance's true rate in requests per second, which only the fixed pace gets."""
    if name.startswith("fixed x "):
        return FixedPace(draw, rate * float(name.rsplit(" ", 1)[1]))
    if name.startswith("semaphore "):
        return Sleeper(draw, int(name.rsplit(" ", 1)[1]))
    if name.startswith(PLAIN):
        return PlainLoop(draw, int(name.removeprefix(PLAIN)))
    return {"AIMD concurrency": ConcurrencyAimd, "CUBIC rate": AwsCubic}[name](draw)
