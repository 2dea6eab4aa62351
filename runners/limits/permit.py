"""The seam of rate control: what a send costs, how it ended, and the limiter between. Nothing else knows which limiter is in use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from providers.messages import JSON, RateLimitHint, Usage


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens that a request will be charged, as far as one knows before it is sent."""

    input_tokens: int
    max_output_tokens: int


@dataclass(frozen=True, slots=True)
class Settled:
    """How a request ended, for the limiter: latency from send to end, usage where there was an answer, the hint of its headers."""

    how: Literal["succeeded", "throttled", "failed", "cancelled"]
    latency_s: float
    usage: Usage | None = None
    hint: RateLimitHint | None = None


@dataclass(frozen=True, slots=True)
class Go:
    ticket: int


@dataclass(frozen=True, slots=True)
class WaitUntil:
    at: float


@dataclass(frozen=True, slots=True)
class WaitForEvent:
    """Something in flight must end first; never returned with nothing in flight."""


class AdaptiveState(Protocol):
    """A limiter's decisions, pure: every method takes `now` in loop seconds and awaits nothing. One per limiter group."""

    def acquire(self, cost: Cost, now: float) -> Go | WaitUntil | WaitForEvent: ...

    def settle(self, ticket: int, settled: Settled, now: float) -> None: ...

    def opens_at(self, now: float) -> float:
        """Before then a refusal keeps it shut; `now` or earlier when it is open."""
        ...

    @property
    def experience(self) -> float:
        """Requests accepted ever: of several limiters the one with the most has learnt most."""
        ...

    def accepted(self, after: float, until: float) -> Sequence[float]:
        """What was accepted after one time and until another, a minute ago at most, in each unit."""
        ...

    def absorb(self, other: Self, now: float) -> None:
        """Stand for `other`, too: both had met one limit."""
        ...

    def tilt(self, share: float, until: float, now: float) -> None:
        """Ask for this share of what is known until then, to find out whose limit it is."""
        ...

    def time_under(self, now: float) -> Mapping[str, float]:
        """Seconds that sends have waited at each gate, and `idle`; they add up to the time since the first question."""
        ...

    def snapshot(self, now: float) -> Mapping[str, JSON]: ...

    def export(self) -> Mapping[str, JSON]:
        """What was learnt, for the next run's start."""
        ...


class Limiter(Protocol):
    """The async face of a limiter group: `fixed` and `adaptive` both wear it. First come, first served."""

    async def acquire(self, cost: Cost, wanted: Callable[[], bool], *, ahead: bool = False) -> int | None:
        """A ticket to send now; None once `wanted()` is false, which is asked again after every wait.

        Whoever goes `ahead` is served before all who wait and do not.
        """
        ...

    def try_acquire(self, cost: Cost) -> int | None:
        """A ticket if one may send at once and nobody waits; None otherwise."""
        ...

    def settle(self, ticket: int, settled: Settled) -> None:
        """Give the ticket back, exactly once."""
        ...

    def wake(self) -> None:
        """Let every waiter ask `wanted` again."""
        ...

    def opens_at(self) -> float:
        """Loop time before which a refusal keeps this limiter shut; a time in the past when it is open."""
        ...

    def snapshot(self) -> Mapping[str, JSON]:
        """How it stands, for people and for the decision log; `time_under` where it is known."""
        ...

    def export(self) -> Mapping[str, JSON]:
        """What was learnt, for the next run's start; empty where nothing is."""
        ...
