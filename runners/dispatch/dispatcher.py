"""Which instance a request goes to, and when: a model's stations, their limiters and their health.

Every attempt chooses its instance anew and prefers the sample's own. Nobody holds one permit while waiting for another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from http import HTTPStatus
from types import TracebackType

from providers.errors import (
    Empty,
    InstanceGone,
    OrchestratorError,
    ProviderError,
    Refused,
    Rejected,
    RequestTooLarge,
    Throttled,
    Transient,
)

from ..limits.permit import Cost, Limiter
from .decision_log import Decide
from .health import Health
from .instance_state import InstanceState, Permit, PermitWaiter
from .quota_watch import QuotaWatch
from .slots import SlotLease

OUTAGE_S = 1800.0
"""An outage of all instances that is waited out; a longer one stops the run, which can be resumed."""
NEVER_THERE_S = 60.0
"""The same for an instance that has not answered once: its address is wrong, more likely than not."""


class NoUsableInstance(OrchestratorError):
    """Every instance of a model is out for good: the run stops, its samples stay pending."""


class PermitRequest:
    """`async with dispatcher.permit(...)`: waits on entering, gives back on leaving."""

    __slots__ = (
        "_deadline",
        "_dispatcher",
        "_permit",
        "_slot",
        "avoid",
        "cost",
        "is_begun",
        "prefer",
        "waiter",
        "yields",
    )

    def __init__(
        self,
        dispatcher: Dispatcher,
        cost: Cost,
        *,
        prefer: str,
        avoid: frozenset[str],
        deadline: float,
        is_begun: bool,
        slot: SlotLease | None,
        yields: bool = False,
    ) -> None:
        self.cost = cost
        self.prefer = prefer
        self.avoid = avoid
        self.is_begun = is_begun
        self.yields = yields
        self.waiter: PermitWaiter | None = None
        """As whom it waits; None while no station may be waited at."""
        self._dispatcher = dispatcher
        self._deadline = deadline
        self._slot = slot
        self._permit: Permit | None = None

    @property
    def instance_state(self) -> InstanceState | None:
        """Where it waits now."""
        return self.waiter.instance_state if self.waiter else None

    @property
    def was_sent(self) -> bool:
        return self._slot is not None and self._slot.was_sent and not self.yields

    async def __aenter__(self) -> Permit:
        self._dispatcher.require_open(is_begun=self.is_begun)
        self._permit = self._dispatcher.acquire_at_once(self)
        if self._permit is None:
            async with (
                asyncio.timeout_at(self._deadline),
                self._slot.release_while_waiting() if self._slot else nullcontext(),
            ):
                self._permit = await self._dispatcher.acquire(self)
        if self._slot is not None:
            await self._slot.begin_request()
        return self._permit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._permit is not None:
            self._permit.abandon()
            if self._permit.instance_state.health_tracker.health.state is Health.REFUSING:
                self._dispatcher.close_refusing(self._permit.instance_state)
            if self._permit.is_probe:
                self._dispatcher.rouse()
            if self._slot is not None:
                self._slot.end_request()


class Dispatcher:
    """Of one model. Waiting is first come, first served at each station, but samples that were sent before go ahead of new ones."""

    def __init__(self, model: str, instance_states: Sequence[InstanceState], decide: Decide) -> None:
        self.model = model
        self.instance_states: Mapping[str, InstanceState] = {
            instance_state.instance.name: instance_state for instance_state in instance_states
        }
        self._decide = decide
        self._quotas = QuotaWatch(instance_states, decide)
        self._changed = asyncio.Event()
        self._is_draining = False

    def permit(
        self,
        cost: Cost,
        *,
        prefer: str,
        avoid: frozenset[str],
        deadline: float,
        is_begun: bool = False,
        slot: SlotLease | None = None,
        yields: bool = False,
    ) -> PermitRequest:
        """Enter to wait for leave to send. Raises TimeoutError at `deadline` (loop time), NoUsableInstance when none is left.

        `is_begun` says that the sample has an answer already, which a drain would waste. A sample that was sent before gives the place of
        its `lease` back while it waits, and goes ahead of samples that were not, unless it `yields`.
        """
        return PermitRequest(
            self, cost, prefer=prefer, avoid=avoid, deadline=deadline, is_begun=is_begun, slot=slot, yields=yields
        )

    def acquire_at_once(self, request: PermitRequest) -> Permit | None:
        """From the preferred station, where it may send now and nobody waits: the usual case, without the price of waiting."""
        own = self.instance_states.get(request.prefer)
        if own is None or request.prefer in request.avoid or own.line or not own.health_tracker.is_healthy:
            return None
        ticket = own.limiter.try_acquire(request.cost)
        return None if ticket is None else Permit(own, ticket)

    async def acquire(self, request: PermitRequest) -> Permit:
        while True:
            request.waiter = None
            instance_state = await self._reachable(request)
            request.waiter = waiter = PermitWaiter(
                instance_state, request.avoid, is_begun=request.is_begun, was_sent=request.was_sent
            )
            permit = await self._wait_in_line(waiter, request.cost)
            if permit is not None:
                return permit

    async def _wait_in_line(self, waiter: PermitWaiter, cost: Cost) -> Permit | None:
        """At the waiter's station, and at those that it is moved to; None when it has to choose anew."""
        while True:
            instance_state = waiter.instance_state
            instance_state.line.join(waiter, ahead=waiter.was_sent)
            ticket = None
            try:
                ticket = await instance_state.limiter.acquire(
                    cost,
                    partial(self._still_waits, waiter, instance_state, instance_state.limiter),
                    ahead=waiter.was_sent,
                )
            finally:
                instance_state.line.leave(waiter)
                if ticket is None and waiter.is_probe and waiter.instance_state is instance_state:
                    instance_state.health_tracker.recall_probe()
                    self.rouse()
            if ticket is not None:
                self._relieve(instance_state)
                return Permit(instance_state, ticket, is_probe=waiter.is_probe)
            if waiter.instance_state is instance_state:
                return None

    # ------------------------------------------------------------------ draining
    def drain(self) -> None:
        """The run ends: who waits here and has no answer yet has nothing to lose, and is sent back at once."""
        self._is_draining = True
        for instance_state in self.instance_states.values():
            instance_state.limiter.wake()
        self.rouse()

    def require_open(self, *, is_begun: bool) -> None:
        """Cancels the sample that asks, where it is sent back: it leaves no record and stays pending, whatever its solver catches."""
        if self._is_draining and not is_begun:
            raise asyncio.CancelledError

    def _still_waits(self, waiter: PermitWaiter, at: InstanceState, limiter: Limiter) -> bool:
        if waiter.instance_state is not at or at.limiter is not limiter or (self._is_draining and not waiter.is_begun):
            return False
        return at.health_tracker.is_healthy or (waiter.is_probe and at.is_usable())

    # ------------------------------------------------------------------ health
    def observe(self, permit: Permit, error: ProviderError | None) -> None:
        """Learn from how a request ended; None where it was answered."""
        instance_state, now = permit.instance_state, asyncio.get_running_loop().time()
        if isinstance(error, InstanceGone):
            self.give_up(instance_state, error)
        elif isinstance(error, Transient):
            if instance_state.health_tracker.failed(error, now, is_probe=permit.is_probe):
                self._say(instance_state)
        elif isinstance(error, Refused) and not isinstance(error, RequestTooLarge):
            if instance_state.health_tracker.refused(error, error.evidence.request_id.split("/")[0]):
                self._say(instance_state)
        elif instance_state.health_tracker.answered(has_worked=error is None or _is_of_the_model(error)):
            self._say(instance_state)
        if isinstance(error, Throttled):
            self._quotas.refused(permit, error.evidence.hint, now)

    def close_refusing(self, instance_state: InstanceState) -> None:
        """Give up an instance that refuses, once nothing is in flight there that it could still answer."""
        if (error := instance_state.health_tracker.verdict(instance_state.counters.in_flight)) is not None:
            self.give_up(instance_state, error)

    def give_up(self, instance_state: InstanceState, error: InstanceGone) -> None:
        """Take an instance out for good; who waits for it chooses another. Saying so twice is harmless."""
        if instance_state.health_tracker.lose(error):
            self._say(instance_state)

    def _say(self, instance_state: InstanceState) -> None:
        health = instance_state.health
        event = "health" if health.is_usable else "instance_lost"
        self._decide(instance_state.instance.name, event, {"state": health.state, "evidence": health.evidence})
        instance_state.limiter.wake()
        self.rouse()

    def rouse(self) -> None:
        """An instance changed, or a canary is back: who waits for a station to wait at asks again."""
        self._changed.set()
        self._changed = asyncio.Event()

    # ------------------------------------------------------------------ choice
    async def _reachable(self, request: PermitRequest) -> InstanceState:
        """The station to wait at; while all that are left are silent, wait for the next canary's turn."""
        while True:
            self.require_open(is_begun=request.is_begun)
            now = asyncio.get_running_loop().time()
            instance_state = self._choose(request.prefer, request.avoid, now)
            if instance_state is not None:
                return instance_state
            due = [
                one.health_tracker.opens_at
                for one in self.instance_states.values()
                if one.is_usable() and one.health_tracker.opens_at > now
            ]
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(due, default=None)):  # the others' canaries are out: they rouse us
                    await self._changed.wait()

    def _choose(self, prefer: str, avoid: frozenset[str], now: float) -> InstanceState | None:
        """The preferred station unless it is out or avoided; else the one with the shortest line; the avoided only if alone."""
        own = self.instance_states.get(prefer)
        if own is not None and prefer not in avoid and own.health_tracker.is_healthy:
            return own if own.is_dry else self._idle(avoid) or own
        self._require_hope(now)
        sending = [
            instance_state
            for instance_state in self.instance_states.values()
            if instance_state.health_tracker.may_send(now)
        ]
        if not sending:
            return None
        wanted = [instance_state for instance_state in sending if instance_state.instance.name not in avoid] or sending
        return min(
            wanted,
            key=lambda instance_state: (
                instance_state is not own,
                max(now, instance_state.limiter.opens_at()),
                len(instance_state.line),
            ),
        )

    def _idle(self, avoid: frozenset[str]) -> InstanceState | None:
        """A station that has run dry and where nobody waits: it takes over whoever would have to wait elsewhere."""
        return next(
            (
                one
                for name, one in self.instance_states.items()
                if one.takes_over() and name not in avoid and not one.line
            ),
            None,
        )

    def _require_hope(self, now: float) -> None:
        """Raises NoUsableInstance once all are gone for good or have been silent for longer than an outage is waited out."""
        if not any(_may_come_back(instance_state, now) for instance_state in self.instance_states.values()):
            lines = [
                f"{name}: {one.health.state} ({one.health.evidence})" for name, one in self.instance_states.items()
            ]
            raise NoUsableInstance(f"no usable instance left for {self.model}: " + "; ".join(lines))

    # ------------------------------------------------------------------ rebalancing
    def refill(self) -> None:
        """A new stage begins: everybody has work of its own again."""
        for instance_state in self.instance_states.values():
            instance_state.is_dry = False

    def run_dry(self, name: str) -> None:
        """Instance `name` has nothing left to open: from now on it takes over those who wait at others."""
        self.instance_states[name].is_dry = True
        self._relieve(self.instance_states[name])

    def _relieve(self, instance_state: InstanceState) -> None:
        """Let the head of the longest line come over to a dry station where nobody waits."""
        if instance_state.line or not instance_state.takes_over():
            return
        longest = max(self.instance_states.values(), key=lambda one: len(one.line))
        head = longest.line.head
        if head is not None and instance_state.instance.name not in head.avoid:
            head.go_to(instance_state)
            longest.limiter.wake()

    def why_moved(self, planned: str, to: InstanceState) -> str | None:
        """Why `to` sends what was planned for another station of this model; None where it was not."""
        own = self.instance_states.get(planned)
        if own is None or own is to:
            return None
        return own.health.error_class or "rebalanced"

    def is_silent(self, name: str) -> bool:
        return not self.instance_states[name].health_tracker.is_healthy

    def rate_per_s(self, name: str) -> float:
        """Requests that instance `name` has had answered per second; 0 while it is not healthy."""
        instance_state, now = self.instance_states[name], asyncio.get_running_loop().time()
        if not instance_state.health_tracker.is_healthy or instance_state.counters.first_sent_at is None:
            return 0.0
        return instance_state.counters.succeeded / max(now - instance_state.counters.first_sent_at, 1e-3)


def _is_of_the_model(error: ProviderError) -> bool:
    """Whether a model answered, if only with nothing."""
    return isinstance(error, Empty | Rejected) and error.evidence.status == HTTPStatus.OK


def _may_come_back(instance_state: InstanceState, now: float) -> bool:
    health_tracker = instance_state.health_tracker
    is_silent_for_s = 0.0 if health_tracker.silent_since is None else now - health_tracker.silent_since
    patience_s = OUTAGE_S if health_tracker.has_answered else NEVER_THERE_S
    return instance_state.is_usable() and (health_tracker.is_healthy or is_silent_for_s < patience_s)
