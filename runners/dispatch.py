"""Which instance a request goes to, and when: a model's stations, their limiters and their health.

Every attempt chooses its instance anew and prefers the sample's own. Nobody holds one permit while waiting for another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from providers.errors import InstanceGone, OrchestratorError
from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse

from .decisions import Decide
from .health import InstanceHealth
from .limits.permit import Cost, Limiter, Settled


class NoUsableInstance(OrchestratorError):
    """Every instance of a model is out for good: the run stops, its samples stay pending."""


class Sender(Protocol):
    """The part of a Provider that a request needs."""

    async def complete(
        self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float
    ) -> ChatResponse: ...


@dataclass(slots=True)
class Tally:
    """What a station has done so far."""

    in_flight: int = 0
    succeeded: int = 0
    throttled: int = 0
    failed: int = 0
    tokens: int = 0
    latency_s: float = 0.0
    """Summed over what succeeded."""

    def settle(self, settled: Settled) -> None:
        self.in_flight -= 1
        if settled.how == "succeeded":
            self.succeeded += 1
            self.latency_s += settled.latency_s
        elif settled.how == "throttled":
            self.throttled += 1
        elif settled.how == "failed":
            self.failed += 1
        if settled.usage is not None:
            self.tokens += settled.usage.input_tokens + settled.usage.output_tokens


class Station:
    """An instance at work: who sends its requests, what limits them, how it is doing."""

    def __init__(self, instance: Instance, sender: Sender, limiter: Limiter) -> None:
        self.instance = instance
        self.sender = sender
        self.limiter = limiter
        self.health = InstanceHealth()
        self.tally = Tally()

    def is_usable(self) -> bool:
        return self.health.is_usable


class Permit:
    """Leave to send one request through one station. Leaving the block without `settle` counts as cancelled."""

    __slots__ = ("_settled", "_ticket", "sent_at", "station")

    def __init__(self, station: Station, ticket: int) -> None:
        self.station = station
        self.sent_at = asyncio.get_running_loop().time()
        self._ticket = ticket
        self._settled = False
        station.tally.in_flight += 1

    @property
    def instance(self) -> Instance:
        return self.station.instance

    def settle(self, settled: Settled) -> None:
        if not self._settled:
            self._settled = True
            self.station.tally.settle(settled)
            self.station.limiter.settle(self._ticket, settled)

    def abandon(self) -> None:
        self.settle(Settled("cancelled", asyncio.get_running_loop().time() - self.sent_at))


class PermitRequest:
    """`async with dispatcher.permit(...)`: waits on entering, gives back on leaving."""

    __slots__ = ("_avoid", "_cost", "_deadline", "_dispatcher", "_permit", "_prefer")

    def __init__(
        self, dispatcher: Dispatcher, cost: Cost, *, prefer: str, avoid: frozenset[str], deadline: float
    ) -> None:
        self._dispatcher = dispatcher
        self._cost = cost
        self._prefer = prefer
        self._avoid = avoid
        self._deadline = deadline
        self._permit: Permit | None = None

    async def __aenter__(self) -> Permit:
        async with asyncio.timeout_at(self._deadline):
            self._permit = await self._dispatcher.acquire(self._cost, prefer=self._prefer, avoid=self._avoid)
        return self._permit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._permit is not None:
            self._permit.abandon()


class Dispatcher:
    """Of one model. Waiting is first come, first served at each station."""

    def __init__(self, model: str, stations: Sequence[Station], decide: Decide) -> None:
        self.model = model
        self.stations: Mapping[str, Station] = {station.instance.name: station for station in stations}
        self._decide = decide

    def permit(self, cost: Cost, *, prefer: str, avoid: frozenset[str], deadline: float) -> PermitRequest:
        """Enter to wait for leave to send. Raises TimeoutError at `deadline` (loop time), NoUsableInstance when none is left."""
        return PermitRequest(self, cost, prefer=prefer, avoid=avoid, deadline=deadline)

    async def acquire(self, cost: Cost, *, prefer: str, avoid: frozenset[str]) -> Permit:
        while True:
            station = self._choose(prefer, avoid)
            ticket = await station.limiter.acquire(cost, station.is_usable)
            if ticket is not None:
                return Permit(station, ticket)

    def give_up(self, station: Station, error: InstanceGone) -> None:
        """Take an instance out for good; who waits for it chooses another. Saying so twice is harmless."""
        if not station.is_usable():
            return
        station.health = InstanceHealth.gone(error)
        self._decide(station.instance.name, "instance_lost", {"why": station.health.state, "evidence": str(error)})
        station.limiter.wake()

    def why_moved(self, planned: str, to: Station) -> str | None:
        """Why `to` sends what was planned for another station of this model; None where it was not."""
        own = self.stations.get(planned)
        if own is None or own is to:
            return None
        return "throttled" if own.is_usable() else own.health.error_class

    def _choose(self, prefer: str, avoid: frozenset[str]) -> Station:
        """The preferred station unless it is out, avoided or shut; else the one that opens soonest; the avoided only if alone."""
        own = self.stations.get(prefer)
        now = asyncio.get_running_loop().time()
        if own is not None and own.is_usable() and prefer not in avoid and own.limiter.opens_at() <= now:
            return own
        usable = [station for station in self.stations.values() if station.is_usable()]
        if not usable:
            raise NoUsableInstance(self._obituary())
        wanted = [station for station in usable if station.instance.name not in avoid] or usable
        return min(wanted, key=lambda station: (max(now, station.limiter.opens_at()), station is not own))

    def _obituary(self) -> str:
        lines = [
            f"{name}: {station.health.state} ({station.health.evidence})" for name, station in self.stations.items()
        ]
        return f"no usable instance left for {self.model}: " + "; ".join(lines)
