"""The interface of rate control: the cost of a request, its outcome, and the limiter. No other code knows which limiter is in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from providers.messages import JSON, RateLimitHint, Usage

TICK_S = 0.0015
"""The timer tick of the event loop, and a half: a send that is due within it goes now instead of waiting for a timer."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The tokens of a request, as estimated before it is sent."""

    input_tokens: int
    max_output_tokens: int


@dataclass(frozen=True, slots=True)
class Settled:
    """The outcome of a request, for the limiter: latency from send to end, usage if it was answered, the hint of its headers."""

    how: Literal["succeeded", "throttled", "failed", "cancelled"]
    latency_s: float
    usage: Usage | None = None
    hint: RateLimitHint | None = None


@dataclass(frozen=True, slots=True)
class Go:
    """The decision to send now, with the ticket to settle."""

    ticket: int


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """The decision to wait until a time and then ask again."""

    at: float


@dataclass(frozen=True, slots=True)
class WaitForEvent:
    """The decision to wait until a request in flight has ended; never returned with nothing in flight."""


class AdaptiveState(Protocol):
    """The decisions of an adaptive limiter. Pure: every method takes `now` in loop seconds and awaits nothing."""

    def acquire(self, cost: Cost, now: float) -> Go | WaitUntil | WaitForEvent:
        """Decide whether a request may be sent now, at a time, or after an event."""
        ...

    def settle(self, ticket: int, settled: Settled, now: float) -> None:
        """Learn from the end of the request with this ticket; once per ticket."""
        ...

    def opens_at(self, now: float) -> float | None:
        """Return the earliest time at which a request of any size may be sent; `now` or earlier if at once, None if only after an event.

        It is asked for a request that waits: the time from now on counts for the gate that blocks it.
        """
        ...

    def shut_until(self, now: float) -> float:
        """Return the time until which a refusal keeps it shut; `now` or earlier when it is open."""
        ...

    @property
    def sends_others(self) -> bool:
        """Whether the last refusal may say nothing of the next request: then only the refused one waits."""
        ...

    @property
    def experience(self) -> float:
        """Number of requests accepted so far: the limiter with the highest number has learned most."""
        ...

    def accepted(self, after: float, until: float) -> Sequence[float]:
        """Return what was accepted after one time and until another, at most a minute ago, in each unit."""
        ...

    def absorb(self, other: Self, now: float) -> None:
        """Limit the requests of `other`, too: both had met the same limit."""
        ...

    def tilt(self, share: float, until: float, now: float) -> None:
        """Ask for `share` of the known limit until then, to find out whether it is shared."""
        ...

    def settle_doubts(self) -> None:
        """Take the current refusal to be by a rate limit."""
        ...

    def time_under(self, now: float) -> Mapping[str, float]:
        """Return the seconds that sends waited at each gate, and `idle`; they add up to the time since the first `acquire`."""
        ...

    def snapshot(self, now: float) -> Mapping[str, JSON]:
        """Return the current state, for the decision log."""
        ...

    def export(self) -> Mapping[str, JSON]:
        """Return what was learned, for the start of the next run."""
        ...


class Limiter(Protocol):
    """The interface of a limiter, fixed or adaptive: a state machine. Every method takes `now` in loop seconds and awaits nothing."""

    def try_acquire(self, cost: Cost, now: float) -> int | None:
        """Return a ticket to send now; None if a request of this cost must wait."""
        ...

    def opens_at(self, cost: Cost, now: float) -> float | None:
        """Return the earliest time at which `try_acquire` may succeed; `now` or earlier if at once, None if only an event can open it.

        It costs little, and is asked before `try_acquire` for a request that waits.
        """
        ...

    def settle(self, ticket: int, settled: Settled, now: float) -> None:
        """Return the ticket, exactly once."""
        ...

    @property
    def sends_others(self) -> bool:
        """Whether the last refusal may say nothing of the next request: then only the refused one waits."""
        ...

    def shut_until(self, now: float) -> float:
        """Return the time until which a refusal keeps this limiter shut; `now` or earlier when it is open."""
        ...

    def snapshot(self, now: float) -> Mapping[str, JSON]:
        """Return the current state, for the user and the decision log; with `time_under` where it is known."""
        ...

    def export(self) -> Mapping[str, JSON]:
        """Return what was learned, for the start of the next run; empty if nothing was."""
        ...
