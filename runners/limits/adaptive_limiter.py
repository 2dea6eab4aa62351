"""The adaptive limiter: an AdaptiveState as a limiter. It keeps the state's last refusal, so that the same question is not asked twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from providers.messages import JSON

from .permit import AdaptiveState, Cost, Go, Settled, WaitUntil


class AdaptiveLimiter:
    """A limiter that asks an AdaptiveState. Pure: every method takes `now` in loop seconds and awaits nothing."""

    def __init__(self, state: AdaptiveState) -> None:
        self._state = state
        self._refused: Cost | None = None
        """The cost that was refused last, as long as no event may have changed the answer."""
        self._refused_until: float | None = None

    def try_acquire(self, cost: Cost, now: float) -> int | None:
        """Return a ticket to send now; None if a request of this cost must wait."""
        decision = self._state.acquire(cost, now)
        if isinstance(decision, Go):
            self._refused = None
            return decision.ticket
        self._refused = cost
        self._refused_until = decision.at if isinstance(decision, WaitUntil) else None
        return None

    def opens_at(self, cost: Cost, now: float) -> float | None:
        """Return the earliest time at which a ticket may be had, `now` or earlier if at once; None if only an event can open it."""
        if self._refused is cost and (self._refused_until is None or self._refused_until > now):
            return self._refused_until
        return self._state.opens_at(now)

    def settle(self, ticket: int, settled: Settled, now: float) -> None:
        """Return the ticket and learn from the end of its request."""
        self._refused = None
        self._state.settle(ticket, settled, now)

    @property
    def sends_others(self) -> bool:
        """Whether the last refusal may say nothing of the next request."""
        return self._state.sends_others

    def shut_until(self, now: float) -> float:
        """Return the time until which a refusal or failures keep the limiter shut; `now` or earlier when it is open."""
        return self._state.shut_until(now)

    def snapshot(self, now: float) -> Mapping[str, JSON]:
        """Return the current state, for the decision log."""
        time_under = {gate: round(seconds, 3) for gate, seconds in self._state.time_under(now).items()}
        return {**self._state.snapshot(now), "time_under": time_under}

    def export(self) -> Mapping[str, JSON]:
        """Return what was learned, for the start of the next run."""
        return self._state.export()

    # ------------------------------------------------------------------ one quota behind several limiters
    @property
    def experience(self) -> float:
        """Number of requests accepted so far."""
        return self._state.experience

    def accepted(self, after: float, until: float) -> Sequence[float]:
        """Return what was accepted after one time and until another, in each unit."""
        return self._state.accepted(after, until)

    def absorb(self, other: AdaptiveLimiter, now: float) -> None:
        """Limit the requests of `other` from now on, too."""
        self._refused = None
        self._state.absorb(other._state, now)

    def settle_doubts(self) -> None:
        """Take the current refusal to be by a rate limit."""
        self._refused = None
        self._state.settle_doubts()

    def tilt(self, share: float, until: float, now: float) -> None:
        """Ask for `share` of the known limit until then."""
        self._refused = None
        self._state.tilt(share, until, now)
