"""Admission rules of modelled endpoints, and what their refusals state. The meters are the simulator's own; a quota that dips is not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from providers.messages import RateLimitHint
from providers.simulator.limits.quota import Meter

from .requests import Request

SILENT = RateLimitHint()
"""A hint without information."""


def hint(retry_after_s: float | None, requests: float | None = None, tokens: float | None = None) -> RateLimitHint:
    """Build a hint of the wait and the remaining amounts."""
    return RateLimitHint(retry_after_s, None, None, requests, tokens)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal and what it states."""

    retry_after_s: float | None = None
    words: RateLimitHint = SILENT
    """The limits that its message states."""
    by_chance: bool = False
    """Whether it would have come whatever the sender had sent before."""

    def hint(self) -> RateLimitHint | None:
        """Return what the refusal states; None where it states nothing."""
        stated = replace(self.words, retry_after_s=self.retry_after_s)
        return None if stated == SILENT else stated


class Rule(Protocol):
    """An admission rule. `admit` counts the requests that it admits; `finish` gets the usage of a finished request."""

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:
        """Admit or refuse a request."""

    def finish(self, request: Request, now: float) -> None:
        """Count a finished request."""

    def remaining(self, now: float) -> RateLimitHint | None:
        """Return what remains of the limits, if the endpoint reports it."""


class Open:
    """A rule that admits every request."""

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:  # noqa: ARG002
        """Admit the request."""
        return None

    def finish(self, request: Request, now: float) -> None:
        """Do nothing."""

    def remaining(self, now: float) -> RateLimitHint | None:  # noqa: ARG002
        """Report nothing."""
        return None


class Seats(Open):
    """A rule that admits at most `seats` requests at a time."""

    def __init__(self, seats: int) -> None:
        self._seats = seats

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:  # noqa: ARG002
        """Refuse where all seats are taken."""
        return Refusal() if inside >= self._seats else None


@dataclass(frozen=True, slots=True)
class Tells:
    """What the endpoint reports besides admitting or refusing."""

    retry_after: bool = False
    always_s: float | None = None
    """One Retry-After for every refusal, correct or not."""
    remaining: bool = False
    token_scale: float = 1.0
    """Remaining tokens are reported in the server's own unit."""
    whole_seconds: bool = False
    """Retry-After is rounded up."""
    words: RateLimitHint = SILENT
    """What every refusal states about its quota."""


class Metered:
    """A rule with separate meters for requests and tokens. Tokens count as prompt + max_tokens on arrival, or as the usage at the end."""

    def __init__(
        self,
        requests: Meter | None,
        tokens: Meter | None = None,
        *,
        counts: Callable[[Request], int] = lambda request: request.ceiling,
        afterwards: bool = False,
        tells: Tells = Tells(),
    ) -> None:
        self._requests, self._tokens = requests, tokens
        self._counts, self._afterwards, self._tells = counts, afterwards, tells

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:  # noqa: ARG002
        """Admit where both meters have room."""
        amount = 1 if self._afterwards else self._counts(request)
        ready_at = now if self._requests is None else self._requests.ready_at(1, now)
        if self._tokens is not None:
            ready_at = max(ready_at, self._tokens.ready_at(amount, now))
        if ready_at > now:
            return self._refusal(ready_at - now)
        if self._requests is not None:
            self._requests.count(1, now)
        if self._tokens is not None and not self._afterwards:
            self._tokens.count(amount, now)
        return None

    def finish(self, request: Request, now: float) -> None:
        """Count the usage, where tokens are counted at the end."""
        if self._tokens is not None and self._afterwards:
            self._tokens.count(request.used, now)

    def remaining(self, now: float) -> RateLimitHint | None:
        """Return what remains of both meters, if the endpoint reports it."""
        if not self._tells.remaining:
            return None
        requests = None if self._requests is None else self._requests.remaining(now)
        tokens = None if self._tokens is None else self._tokens.remaining(now) * self._tells.token_scale
        return hint(None, requests, tokens)

    def _refusal(self, wait_s: float) -> Refusal:
        if self._tells.always_s is not None:
            return Refusal(self._tells.always_s, self._tells.words)
        parts = 1 if self._tells.whole_seconds else 1000
        return Refusal(math.ceil(wait_s * parts) / parts if self._tells.retry_after else None, self._tells.words)


class DippingBucket(Open):
    """A bucket of requests whose refill is halved between two times: a 429 for capacity, unrelated to the quota."""

    def __init__(self, rate: float, burst: float, dip: tuple[float, float]) -> None:
        self._rate, self._burst, self._dip = rate, burst, dip
        self._level, self._at = burst, 0.0

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:  # noqa: ARG002
        """Admit where the bucket has a token."""
        rate = self._rate * (0.5 if self._dip[0] <= now < self._dip[1] else 1.0)
        self._level = min(self._burst, self._level + rate * (now - self._at))
        self._at = now
        if self._level < 1:
            return Refusal()
        self._level -= 1
        return None
