"""The dispatcher of a model: it chooses the instance of each request and grants the permit to send.

Every attempt chooses its instance again and prefers the sample's own. No request holds one permit while it waits for another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
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

from ..limits.permit import Cost, Limiter, Settled
from .decision_log import Decide
from .health import Health
from .instance_state import InstanceState, Permit, PermitWaiter
from .quota_watch import QuotaWatch
from .slots import WorkerSlot

OUTAGE_S = 1800.0
"""Longest outage of all instances that the run waits for; after it the run stops and can be resumed."""
NEVER_THERE_S = 60.0
"""The same for an instance that has never answered: its address is probably wrong."""


class NoUsableInstance(OrchestratorError):
    """No instance of a model is usable any more: the run stops, its samples stay pending."""


@dataclass(slots=True)
class PermitRequest:
    """A request for a permit, as long as it waits for one."""

    cost: Cost
    prefer: str
    """The sample's own instance."""
    avoid: frozenset[str]
    """Instances that get it only if there is no other."""
    deadline: float
    """Loop time."""
    is_begun: bool = False
    """Its sample has an answer already: it keeps waiting during a drain."""
    was_sent: bool = False
    """Its sample was sent before: it goes ahead of samples that were not."""
    yields: bool = False
    """It does not go ahead, although its sample was sent before."""
    waiter: PermitWaiter | None = None
    """Its entry in an instance's queue; None while it waits in none."""

    @property
    def instance_state(self) -> InstanceState | None:
        """The instance for which it waits; None while it waits for none."""
        return self.waiter.instance_state if self.waiter else None

    @property
    def goes_ahead(self) -> bool:
        """Whether it goes ahead of samples that were not sent."""
        return self.was_sent and not self.yields


class PermitContext:
    """The context manager that `dispatcher.permit(...)` returns: it waits for a permit on entry and releases it on exit."""

    __slots__ = ("_dispatcher", "_permit", "_slot", "request")

    def __init__(self, dispatcher: Dispatcher, request: PermitRequest, slot: WorkerSlot | None) -> None:
        self.request = request
        self._dispatcher = dispatcher
        self._slot = slot
        self._permit: Permit | None = None

    @property
    def instance_state(self) -> InstanceState | None:
        """The instance for which it waits; None while it waits for none."""
        return self.request.instance_state

    async def __aenter__(self) -> Permit:
        request = self.request
        self._dispatcher.require_open(is_begun=request.is_begun)
        self._permit = self._dispatcher.try_acquire(request.cost, request.prefer, request.avoid)
        if self._permit is None:
            with self._slot.release_while_waiting() if self._slot else nullcontext():
                self._permit = await self._dispatcher.acquire(request)
        if self._slot is not None:
            self._slot.begin_request()
        return self._permit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._permit is not None:
            self._dispatcher.abandon(self._permit)
            if self._slot is not None:
                self._slot.end_request()


class Dispatcher:
    """The dispatcher of one model. Each instance serves first come, first served; samples that were sent before go ahead of new ones."""

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
        slot: WorkerSlot | None = None,
        yields: bool = False,
    ) -> PermitContext:
        """Return a context manager that waits for a permit. Entering raises TimeoutError at `deadline` (loop time) or NoUsableInstance.

        `is_begun` means that the sample already has an answer, which a drain would waste. A sample that was sent before releases its
        `slot` while it waits, and goes ahead of samples that were not sent, unless it `yields`.
        """
        was_sent = slot is not None and slot.was_sent
        return PermitContext(self, PermitRequest(cost, prefer, avoid, deadline, is_begun, was_sent, yields), slot)

    def try_acquire(self, cost: Cost, prefer: str, avoid: frozenset[str]) -> Permit | None:
        """Return a permit of the preferred instance if it can be granted without waiting: the usual case, at the lowest cost."""
        own = self.instance_states.get(prefer)
        if own is None or prefer in avoid or own.queue or not own.health_tracker.is_healthy:
            return None
        ticket = own.limiter.try_acquire(cost)
        return None if ticket is None else Permit(own, ticket)

    async def acquire(self, waiting: PermitRequest) -> Permit:
        """Wait until a permit is granted.

        Raises TimeoutError at the deadline, NoUsableInstance, and in a drain CancelledError, unless the sample is begun.
        """
        async with asyncio.timeout_at(waiting.deadline):
            while True:
                waiting.waiter = None
                instance_state = await self._reachable(waiting)
                waiting.waiter = waiter = PermitWaiter(
                    instance_state, waiting.avoid, is_begun=waiting.is_begun, was_sent=waiting.goes_ahead
                )
                permit = await self._wait_in_queue(waiter, waiting.cost)
                if permit is not None:
                    return permit

    def finish(self, permit: Permit, settled: Settled, error: ProviderError | None) -> None:
        """Settle the permit and learn from the end of its request; `error` is None if it was answered."""
        permit.settle(settled)
        self.observe(permit, error)
        self.abandon(permit)

    def abandon(self, permit: Permit) -> None:
        """Return the permit of a request that was cancelled; without effect on its limiter if it has finished."""
        permit.abandon()
        if permit.instance_state.health_tracker.health.state is Health.REFUSING:
            self.close_refusing(permit.instance_state)
        if permit.is_probe:
            self.notify_waiting()

    async def _wait_in_queue(self, waiter: PermitWaiter, cost: Cost) -> Permit | None:
        """Wait in the queue of the waiter's instance, and of those that it is moved to; return None if it must choose again."""
        while True:
            instance_state = waiter.instance_state
            instance_state.queue.join(waiter, ahead=waiter.was_sent)
            ticket = None
            try:
                ticket = await instance_state.limiter.acquire(
                    cost,
                    partial(self._still_waits, waiter, instance_state, instance_state.limiter),
                    ahead=waiter.was_sent,
                )
            finally:
                instance_state.queue.leave(waiter)
                if ticket is None and waiter.is_probe and waiter.instance_state is instance_state:
                    instance_state.health_tracker.recall_probe()
                    self.notify_waiting()
            if ticket is not None:
                self._move_head_of_longest_queue(instance_state)
                return Permit(instance_state, ticket, is_probe=waiter.is_probe)
            if waiter.instance_state is instance_state:
                return None

    # ------------------------------------------------------------------ draining
    def drain(self) -> None:
        """Begin to drain: cancel the waiting samples that have no answer yet."""
        self._is_draining = True
        for instance_state in self.instance_states.values():
            instance_state.limiter.wake()
        self.notify_waiting()

    def require_open(self, *, is_begun: bool) -> None:
        """Raise CancelledError while draining, unless the sample `is_begun`. It stays pending, whatever its solver catches."""
        if self._is_draining and not is_begun:
            raise asyncio.CancelledError

    def _still_waits(self, waiter: PermitWaiter, at: InstanceState, limiter: Limiter) -> bool:
        if waiter.instance_state is not at or at.limiter is not limiter or (self._is_draining and not waiter.is_begun):
            return False
        return at.health_tracker.is_healthy or (waiter.is_probe and at.is_usable())

    # ------------------------------------------------------------------ health
    def observe(self, permit: Permit, error: ProviderError | None) -> None:
        """Learn from the end of a request; `error` is None if it was answered."""
        instance_state, now = permit.instance_state, asyncio.get_running_loop().time()
        if isinstance(error, InstanceGone):
            self.give_up(instance_state, error)
        elif isinstance(error, Transient):
            if instance_state.health_tracker.failed(error, now, is_probe=permit.is_probe):
                self._report_health(instance_state)
        elif isinstance(error, Refused) and not isinstance(error, RequestTooLarge):
            if instance_state.health_tracker.refused(error, error.evidence.request_id.split("/")[0]):
                self._report_health(instance_state)
        elif instance_state.health_tracker.answered(has_worked=error is None or _is_answer_of_model(error)):
            self._report_health(instance_state)
        if isinstance(error, Throttled):
            self._quotas.refused(permit, error.evidence.hint, now)

    def close_refusing(self, instance_state: InstanceState) -> None:
        """Give up an instance that refuses requests, once no request is in flight there that it could still answer."""
        if (error := instance_state.health_tracker.verdict(instance_state.counters.in_flight)) is not None:
            self.give_up(instance_state, error)

    def give_up(self, instance_state: InstanceState, error: InstanceGone) -> None:
        """Take an instance out of the run for good; the requests in its queue choose another. A second call has no effect."""
        if instance_state.health_tracker.give_up(error):
            self._report_health(instance_state)

    def _report_health(self, instance_state: InstanceState) -> None:
        health = instance_state.health
        event = "health" if health.is_usable else "instance_lost"
        self._decide(instance_state.instance.name, event, {"state": health.state, "evidence": health.evidence})
        instance_state.limiter.wake()
        self.notify_waiting()

    def notify_waiting(self) -> None:
        """Wake the requests that have no instance to wait for: one has changed, or a probe has ended."""
        self._changed.set()
        self._changed = asyncio.Event()

    # ------------------------------------------------------------------ choice
    async def _reachable(self, request: PermitRequest) -> InstanceState:
        """Return the instance to wait for; while all remaining instances are silent, wait until the next probe is due."""
        while True:
            self.require_open(is_begun=request.is_begun)
            now = asyncio.get_running_loop().time()
            instance_state = self._choose(request.prefer, request.avoid, now)
            if instance_state is not None:
                return instance_state
            due = [
                other.health_tracker.opens_at
                for other in self.instance_states.values()
                if other.is_usable() and other.health_tracker.opens_at > now
            ]
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(due, default=None)):  # probes in flight notify us when they end
                    await self._changed.wait()

    def _choose(self, prefer: str, avoid: frozenset[str], now: float) -> InstanceState | None:
        """Return the preferred instance unless it is unhealthy or avoided, else the one with the shortest queue.

        An avoided instance is chosen only if there is no other. Of the others an open limiter goes before a short queue.
        """
        own = self.instance_states.get(prefer)
        if own is not None and prefer not in avoid and own.health_tracker.is_healthy:
            return own if own.is_dry else self._idle(avoid) or own
        self._require_usable(now)
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
                len(instance_state.queue),
            ),
        )

    def _idle(self, avoid: frozenset[str]) -> InstanceState | None:
        """Find an instance that has no work of its own left and an empty queue: it takes over work of the others."""
        return next(
            (
                instance_state
                for name, instance_state in self.instance_states.items()
                if instance_state.takes_over() and name not in avoid and not instance_state.queue
            ),
            None,
        )

    def _require_usable(self, now: float) -> None:
        """Raise NoUsableInstance if every instance is gone for good or has been silent for too long (OUTAGE_S, NEVER_THERE_S)."""
        if not any(_may_come_back(instance_state, now) for instance_state in self.instance_states.values()):
            lines = [
                f"{name}: {instance_state.health.state} ({instance_state.health.evidence})"
                for name, instance_state in self.instance_states.items()
            ]
            raise NoUsableInstance(f"no usable instance left for {self.model}: " + "; ".join(lines))

    # ------------------------------------------------------------------ rebalancing
    def refill(self) -> None:
        """Note that a new stage begins: every instance has work of its own again."""
        for instance_state in self.instance_states.values():
            instance_state.is_dry = False

    def run_dry(self, name: str) -> None:
        """Note that instance `name` has no samples left to open: from now on it takes over requests that wait for other instances."""
        self.instance_states[name].is_dry = True
        self._move_head_of_longest_queue(self.instance_states[name])

    def _move_head_of_longest_queue(self, target: InstanceState) -> None:
        """Move the head of the longest queue to `target`, if that has no work of its own and an empty queue."""
        if target.queue or not target.takes_over():
            return
        longest = max(self.instance_states.values(), key=lambda instance_state: len(instance_state.queue))
        head = longest.queue.head
        if head is not None and target.instance.name not in head.avoid:
            head.move_to(target)
            longest.limiter.wake()

    def why_moved(self, planned: str, to: InstanceState) -> str | None:
        """Return why `to` sends a sample that was planned for another instance of this model; None if it was planned for `to`."""
        own = self.instance_states.get(planned)
        if own is None or own is to:
            return None
        return own.health.error_class or "rebalanced"

    def is_silent(self, name: str) -> bool:
        """Return whether instance `name` is not healthy."""
        return not self.instance_states[name].health_tracker.is_healthy

    def rate_per_s(self, name: str) -> float:
        """Return the answers per second of instance `name` since its first request; 0 while it is not healthy."""
        instance_state, now = self.instance_states[name], asyncio.get_running_loop().time()
        if not instance_state.health_tracker.is_healthy or instance_state.counters.first_sent_at is None:
            return 0.0
        return instance_state.counters.succeeded / max(now - instance_state.counters.first_sent_at, 1e-3)


def _is_answer_of_model(error: ProviderError) -> bool:
    """Return whether a model answered, even if the answer is empty."""
    return isinstance(error, Empty | Rejected) and error.evidence.status == HTTPStatus.OK


def _may_come_back(instance_state: InstanceState, now: float) -> bool:
    health_tracker = instance_state.health_tracker
    is_silent_for_s = 0.0 if health_tracker.silent_since is None else now - health_tracker.silent_since
    patience_s = OUTAGE_S if health_tracker.has_answered else NEVER_THERE_S
    return instance_state.is_usable() and (health_tracker.is_healthy or is_silent_for_s < patience_s)
