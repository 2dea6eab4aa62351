"""The dispatcher of a model: it chooses the instance of each request and grants the permit to send.

Every attempt chooses its instance again and prefers the sample's own. No request holds one permit while it waits for another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus

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

from ..decisions.decision_log import Decide
from ..limits.permit import Cost, Settled
from .assign import assign
from .health import Health
from .instance_state import InstanceState, Permit
from .permit_request import PermitRequest
from .quota_watch import QuotaWatch
from .waiting_queue import LimiterGroups, WaitingQueue

TIMER_S = 0.001
"""Shortest timer: the event loop fires a shorter one at once, before its time."""


class NoUsableInstance(OrchestratorError):
    """No instance of a model is usable any more: the run stops, its samples stay pending."""


class Dispatcher:
    """The dispatcher of one model. Those who wait are served first come, first served, as `assign` says, which it asks on every event."""

    def __init__(
        self,
        model: str,
        instance_states: Sequence[InstanceState],
        decide: Decide,
        limiter_groups: LimiterGroups | None = None,
    ) -> None:
        self.model = model
        self.instance_states: Mapping[str, InstanceState] = {
            instance_state.instance.name: instance_state for instance_state in instance_states
        }
        self._decide = decide
        self._quotas = QuotaWatch(instance_states, decide)
        self._queue = WaitingQueue(self.instance_states, limiter_groups or LimiterGroups())
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at: float | None = None
        self._is_draining = False

    # ------------------------------------------------------------------ permits
    def try_acquire(self, cost: Cost, prefer: str, avoid: frozenset[str]) -> Permit | None:
        """Return a permit of the preferred instance if it can be granted without waiting: the usual case, one call of the limiter."""
        own = self.instance_states.get(prefer)
        if own is None or prefer in avoid or not own.health_tracker.is_healthy or self._queue.is_wanted(own):
            return None
        now = asyncio.get_running_loop().time()
        ticket = own.limiter.try_acquire(cost, now)
        return None if ticket is None else Permit(own, ticket, now)

    async def acquire(self, waiting: PermitRequest) -> Permit:
        """Wait until a permit is granted.

        Raises TimeoutError at the deadline, NoUsableInstance, and in a drain CancelledError, unless the sample is begun.
        """
        self.require_open(is_begun=waiting.is_begun)
        loop = asyncio.get_running_loop()
        granted: asyncio.Future[Permit] = loop.create_future()
        waiting.granted = granted
        if self._queue.add(waiting):
            self._assign()
        deadline = None if granted.done() else loop.call_at(waiting.deadline, self._expire, waiting, granted)
        try:
            return await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                self._withdraw(waiting)
            elif granted.exception() is None:
                self.abandon(granted.result())  # it was granted in the instant in which the caller was cancelled
            raise
        finally:
            if deadline is not None:
                deadline.cancel()

    def _expire(self, waiting: PermitRequest, granted: asyncio.Future[Permit]) -> None:
        if not granted.done():
            granted.set_exception(TimeoutError())
            self._withdraw(waiting)

    def _withdraw(self, waiting: PermitRequest) -> None:
        """Remove a request that waits no longer; its limiter may have room for what the next one costs."""
        if self._queue.withdraw(waiting):
            self._assign()

    def finish(self, permit: Permit, settled: Settled, error: ProviderError | None) -> None:
        """Settle the permit, learn from the end of its request, and serve those who wait; `error` is None if it was answered."""
        now = asyncio.get_running_loop().time()
        if permit.settle(settled, now):
            self._observe(permit, error, now)
            self._settled(permit)

    def abandon(self, permit: Permit) -> None:
        """Return the permit of a request that was cancelled; no effect if it has finished."""
        now = asyncio.get_running_loop().time()
        if permit.settle(Settled("cancelled", now - permit.sent_at), now):
            if permit.is_probe:
                permit.instance_state.health_tracker.recall_probe()
            self._settled(permit)

    def _settled(self, permit: Permit) -> None:
        instance_state = permit.instance_state
        if instance_state.health.state is not Health.HEALTHY:
            verdict = instance_state.health_tracker.verdict(instance_state.counters.in_flight)
            if verdict is not None:
                self._give_up(instance_state, verdict)
            if permit.is_probe:
                self._queue.schedule_probe(instance_state)
        if self._queue.settled(permit.limiter):
            self._assign()

    # ------------------------------------------------------------------ assignment
    def _assign(self) -> None:
        """Grant what may be sent now, and set the timer for what may be sent later."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        assignments = assign(self._queue, now)
        for grant in assignments.granted:
            permit = Permit(grant.instance_state, grant.ticket, now, is_probe=grant.is_probe)
            assert grant.request.granted is not None
            grant.request.granted.set_result(permit)
        if assignments.hopeless:
            self._fail(assignments.hopeless)
        if assignments.wake_at != self._wakes_at:
            self._set_timer(assignments.wake_at, loop)

    def _set_timer(self, wake_at: float | None, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_at = wake_at
        self._timer = None if wake_at is None else loop.call_at(max(wake_at, loop.time() + TIMER_S), self._wake)

    def _wake(self) -> None:
        self._timer, self._wakes_at = None, None
        self._assign()

    def _fail(self, hopeless: Sequence[PermitRequest]) -> None:
        lines = [
            f"{name}: {instance_state.health.state} ({instance_state.health.evidence})"
            for name, instance_state in self.instance_states.items()
        ]
        for request in hopeless:
            assert request.granted is not None
            request.granted.set_exception(
                NoUsableInstance(f"no usable instance left for {self.model}: " + "; ".join(lines))
            )

    # ------------------------------------------------------------------ draining
    def drain(self) -> None:
        """Begin to drain: cancel the waiting samples that have no answer yet."""
        self._is_draining = True
        for request in [request for request in self._queue.everyone if not request.is_begun]:
            self._queue.withdraw(request)
            if request.granted is not None:
                request.granted.cancel()
        if len(self._queue):
            self._assign()

    def require_open(self, *, is_begun: bool) -> None:
        """Raise CancelledError while draining, unless the sample `is_begun`. It stays pending, whatever its solver catches."""
        if self._is_draining and not is_begun:
            raise asyncio.CancelledError

    # ------------------------------------------------------------------ health
    def _observe(self, permit: Permit, error: ProviderError | None, now: float) -> None:
        """Learn the health of the instance, and quotas that it shares, from the end of a request."""
        instance_state = permit.instance_state
        tracker = instance_state.health_tracker
        if error is None:
            has_changed = tracker.answered()
        elif isinstance(error, InstanceGone):
            has_changed = tracker.give_up(error)
        elif isinstance(error, Transient):
            has_changed = tracker.failed(error, now, is_probe=permit.is_probe)
        elif isinstance(error, Refused) and not isinstance(error, RequestTooLarge):
            has_changed = tracker.refused(error, error.evidence.request_id.split("/")[0])
        else:
            has_changed = tracker.answered(has_worked=_is_answer_of_model(error))
        if has_changed:
            self._health_changed(instance_state)
        if isinstance(error, Throttled) and self._quotas.refused(permit, error.evidence.hint, now):
            self._queue.regroup()

    def give_up(self, instance_state: InstanceState, error: InstanceGone) -> None:
        """Take an instance out of the run for good; the requests that wait for it go to others. A second call has no effect."""
        self._give_up(instance_state, error)
        if len(self._queue):
            self._assign()

    def _give_up(self, instance_state: InstanceState, error: InstanceGone) -> None:
        if instance_state.health_tracker.give_up(error):
            self._health_changed(instance_state)

    def _health_changed(self, instance_state: InstanceState) -> None:
        health = instance_state.health
        event = "health" if health.is_usable else "instance_lost"
        self._decide(instance_state.instance.name, event, {"state": health.state, "evidence": health.evidence})
        self._queue.health_changed(instance_state)

    # ------------------------------------------------------------------ rebalancing
    def refill(self) -> None:
        """Note that a new stage begins: every instance has work of its own again."""
        for instance_state in self.instance_states.values():
            self._set_dry(instance_state, is_dry=False)

    def run_dry(self, name: str) -> None:
        """Note that instance `name` has no samples left to open: from now on it takes over requests that wait for other instances."""
        self._set_dry(self.instance_states[name], is_dry=True)
        if len(self._queue):
            self._assign()

    def _set_dry(self, instance_state: InstanceState, *, is_dry: bool) -> None:
        if instance_state.is_dry != is_dry:
            instance_state.is_dry = is_dry
            self._queue.health_changed(instance_state)

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
