"""An instance at work: who sends its requests, what limits them, how it is doing, who waits for it, and leave to send."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse

from .health import InstanceHealth, Vitals
from .limits.line import Line
from .limits.permit import Limiter, Settled


class Sender(Protocol):
    """The part of a Provider that a request needs."""

    async def complete(
        self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float
    ) -> ChatResponse: ...


@dataclass(slots=True)
class Tally:
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


class Station:
    """An instance at work: who sends its requests, what limits them, how it is doing, who waits for it."""

    def __init__(self, instance: Instance, sender: Sender, limiter: Limiter) -> None:
        self.instance = instance
        self.sender = sender
        self.limiter = limiter
        self.vitals = Vitals()
        self.tally = Tally()
        self.line: Line[Waiter] = Line()
        """Who waits."""
        self.is_dry = False
        """Its own shard has nothing left to open: it may take over whoever waits elsewhere."""

    @property
    def health(self) -> InstanceHealth:
        return self.vitals.health

    def takes_over(self) -> bool:
        """It has no work of its own left, and is well."""
        return self.is_dry and self.vitals.is_healthy

    def is_usable(self) -> bool:
        """Not gone for good."""
        return self.vitals.health.is_usable


class Waiter:
    """One who waits for leave to send, and the station where it waits; whoever moves it sets another."""

    __slots__ = ("avoid", "is_begun", "is_canary", "station", "was_sent")

    def __init__(self, station: Station, avoid: frozenset[str], *, is_begun: bool, was_sent: bool) -> None:
        self.avoid = avoid
        self.is_begun = is_begun
        """Its sample has an answer already: a drain lets it wait on."""
        self.was_sent = was_sent
        """Its sample was, before: it goes ahead of those that were not."""
        self.station = station
        self.is_canary = False
        self.go_to(station)

    def go_to(self, station: Station) -> None:
        """Wait there from now on; at a station that is silent, as its canary."""
        if self.is_canary:
            self.station.vitals.recall_canary()
        self.station = station
        self.is_canary = not station.vitals.is_healthy
        if self.is_canary:
            station.vitals.send_canary()


class Permit:
    """Leave to send one request through one station. Leaving the block without `settle` counts as cancelled."""

    __slots__ = ("_settled", "_ticket", "is_canary", "sent_at", "station")

    def __init__(self, station: Station, ticket: int, *, is_canary: bool = False) -> None:
        self.station = station
        self.is_canary = is_canary
        self.sent_at = asyncio.get_running_loop().time()
        self._ticket = ticket
        self._settled = False
        station.tally.sent(self.sent_at)

    @property
    def instance(self) -> Instance:
        return self.station.instance

    def settle(self, settled: Settled) -> None:
        if not self._settled:
            self._settled = True
            self.station.tally.settle(settled, self.sent_at + settled.latency_s)
            self.station.limiter.settle(self._ticket, settled)

    def abandon(self) -> None:
        if self._settled:
            return
        if self.is_canary:
            self.station.vitals.recall_canary()
        self.settle(Settled("cancelled", asyncio.get_running_loop().time() - self.sent_at))
