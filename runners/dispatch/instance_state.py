"""An instance at work: who sends its requests, what limits them, how it is doing, who waits for it, and leave to send."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from providers.instance import Instance
from providers.provider import Sender

from ..limits.fifo_queue import FifoQueue
from ..limits.permit import Limiter, Settled
from .health import HealthTracker, InstanceHealth


@dataclass(slots=True)
class RequestCounters:
    """What a station has done so far."""

    first_sent_at: float | None = None
    """Loop time."""
    in_flight: int = 0
    succeeded: int = 0
    throttled: int = 0
    failed: int = 0
    tokens: int = 0
    latency_s: float = 0.0
    """Summed over what succeeded."""
    answered_at: float | None = None
    """When the last of these ended, loop time."""
    let_in_at: float | None = None
    """When the last of these was sent, loop time."""

    def sent(self, now: float) -> None:
        self.in_flight += 1
        if self.first_sent_at is None:
            self.first_sent_at = now

    def settle(self, settled: Settled, now: float) -> None:
        self.in_flight -= 1
        if settled.how == "succeeded":
            self.succeeded += 1
            self.answered_at = now
            self.let_in_at = max(self.let_in_at or 0.0, now - settled.latency_s)
            self.latency_s += settled.latency_s
        elif settled.how == "throttled":
            self.throttled += 1
        elif settled.how == "failed":
            self.failed += 1
        if settled.usage is not None:
            self.tokens += settled.usage.input_tokens + settled.usage.output_tokens


class InstanceState:
    """An instance at work: who sends its requests, what limits them, how it is doing, who waits for it."""

    def __init__(self, instance: Instance, sender: Sender, limiter: Limiter) -> None:
        self.instance = instance
        self.sender = sender
        self.limiter = limiter
        self.health_tracker = HealthTracker()
        self.counters = RequestCounters()
        self.line: FifoQueue[PermitWaiter] = FifoQueue()
        """Who waits."""
        self.is_dry = False
        """Its own shard has nothing left to open: it may take over whoever waits elsewhere."""

    @property
    def health(self) -> InstanceHealth:
        return self.health_tracker.health

    def takes_over(self) -> bool:
        """It has no work of its own left, and is well."""
        return self.is_dry and self.health_tracker.is_healthy

    def is_usable(self) -> bool:
        """Not gone for good."""
        return self.health_tracker.health.is_usable


class PermitWaiter:
    """One who waits for leave to send, and the station where it waits; whoever moves it sets another."""

    __slots__ = ("avoid", "instance_state", "is_begun", "is_probe", "was_sent")

    def __init__(self, instance_state: InstanceState, avoid: frozenset[str], *, is_begun: bool, was_sent: bool) -> None:
        self.avoid = avoid
        self.is_begun = is_begun
        """Its sample has an answer already: a drain lets it wait on."""
        self.was_sent = was_sent
        """Its sample was, before: it goes ahead of those that were not."""
        self.instance_state = instance_state
        self.is_probe = False
        self.go_to(instance_state)

    def go_to(self, instance_state: InstanceState) -> None:
        """Wait there from now on; at a station that is silent, as its canary."""
        if self.is_probe:
            self.instance_state.health_tracker.recall_probe()
        self.instance_state = instance_state
        self.is_probe = not instance_state.health_tracker.is_healthy
        if self.is_probe:
            instance_state.health_tracker.send_probe()


class Permit:
    """Leave to send one request through one station. Leaving the block without `settle` counts as cancelled."""

    __slots__ = ("_settled", "_ticket", "instance_state", "is_probe", "limiter", "sent_at")

    def __init__(self, instance_state: InstanceState, ticket: int, *, is_probe: bool = False) -> None:
        self.instance_state = instance_state
        self.is_probe = is_probe
        self.sent_at = asyncio.get_running_loop().time()
        self.limiter = instance_state.limiter
        """That gave the ticket and gets it back, whichever limits the station by then."""
        self._ticket = ticket
        self._settled = False
        instance_state.counters.sent(self.sent_at)

    @property
    def instance(self) -> Instance:
        return self.instance_state.instance

    def settle(self, settled: Settled) -> None:
        if not self._settled:
            self._settled = True
            self.instance_state.counters.settle(settled, self.sent_at + settled.latency_s)
            self.limiter.settle(self._ticket, settled)

    def abandon(self) -> None:
        if self._settled:
            return
        if self.is_probe:
            self.instance_state.health_tracker.recall_probe()
        self.settle(Settled("cancelled", asyncio.get_running_loop().time() - self.sent_at))
