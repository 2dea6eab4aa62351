"""The state of an instance in a run: sender, limiter, health and counters; and the permit to send."""

from __future__ import annotations

from dataclasses import dataclass

from providers.instance import Instance
from providers.provider import Sender

from ..limits.permit import Limiter, Settled
from .health import HealthTracker, InstanceHealth


@dataclass(slots=True)
class RequestCounters:
    """The requests of an instance so far, counted by outcome."""

    first_sent_at: float | None = None
    """When the first request was sent, loop time."""
    in_flight: int = 0
    succeeded: int = 0
    throttled: int = 0
    failed: int = 0
    tokens: int = 0
    latency_s: float = 0.0
    """Sum over the requests that succeeded."""
    answered_at: float | None = None
    """When the last successful request ended, loop time."""
    accepted_sent_at: float | None = None
    """When the last successful request was sent, loop time."""

    def sent(self, now: float) -> None:
        """Count a request that is sent at `now`."""
        self.in_flight += 1
        if self.first_sent_at is None:
            self.first_sent_at = now

    def settle(self, settled: Settled, now: float) -> None:
        """Count a request that ended at `now`."""
        self.in_flight -= 1
        if settled.how == "succeeded":
            self.succeeded += 1
            self.answered_at = now
            self.accepted_sent_at = max(self.accepted_sent_at or 0.0, now - settled.latency_s)
            self.latency_s += settled.latency_s
        elif settled.how == "throttled":
            self.throttled += 1
        elif settled.how == "failed":
            self.failed += 1
        if settled.usage is not None:
            self.tokens += settled.usage.input_tokens + settled.usage.output_tokens


class InstanceState:
    """An instance in a run: its sender, limiter, health and counters."""

    def __init__(self, instance: Instance, sender: Sender, limiter: Limiter) -> None:
        self.instance = instance
        self.sender = sender
        self.limiter = limiter
        self.health_tracker = HealthTracker()
        self.counters = RequestCounters()
        self.waiting = 0
        """Number of requests that wait and prefer it."""
        self.is_dry = False
        """Its own shard has no samples left to open: it may take over requests that wait for other instances."""

    @property
    def health(self) -> InstanceHealth:
        """The current health, with the evidence for it."""
        return self.health_tracker.health

    def takes_over(self) -> bool:
        """Return whether it may take over work: it has none of its own left and is healthy."""
        return self.is_dry and self.health_tracker.is_healthy

    def is_usable(self) -> bool:
        """Return whether it is not gone for good."""
        return self.health_tracker.health.is_usable


class Permit:
    """The permit to send one request to one instance. It is settled once; whoever does not finish a request abandons it."""

    __slots__ = ("_is_settled", "_ticket", "instance_state", "is_probe", "limiter", "sent_at")

    def __init__(self, instance_state: InstanceState, ticket: int, sent_at: float, *, is_probe: bool = False) -> None:
        self.instance_state = instance_state
        self.is_probe = is_probe
        self.sent_at = sent_at
        self.limiter = instance_state.limiter
        """The limiter that issued the ticket and gets it back, even if the instance has another limiter by then."""
        self._ticket = ticket
        self._is_settled = False
        instance_state.counters.sent(sent_at)

    @property
    def instance(self) -> Instance:
        """The instance that the request may be sent to."""
        return self.instance_state.instance

    def settle(self, settled: Settled, now: float) -> bool:
        """Report how the request ended and return the ticket; return False if that was done before."""
        if self._is_settled:
            return False
        self._is_settled = True
        self.instance_state.counters.settle(settled, now)
        self.limiter.settle(self._ticket, settled, now)
        return True
