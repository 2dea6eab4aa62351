"""Which waiting request goes to which instance: one pure function of the queue, the limiters and the time. It awaits nothing.

First come, first served among the requests that an instance may take: its own, and those whose own instance is avoided, unknown or
unhealthy. A silent instance is sent one probe when it is due, by a request of its own if one waits. An instance that has run dry takes
over the request that is first of all, if nobody waits whom it must serve.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from .instance_state import InstanceState
from .permit_request import PermitRequest
from .waiting_queue import LimiterGroup, ModelShare, WaitingQueue

OUTAGE_S = 1800.0
"""Longest outage of all instances that the run waits for; after it the run stops and can be resumed."""
NEVER_THERE_S = 60.0
"""The same for an instance that has never answered: its address is probably wrong."""


class Grant(NamedTuple):
    """A request that may be sent, the instance that gets it, and the ticket of its limiter."""

    request: PermitRequest
    instance_state: InstanceState
    ticket: int
    is_probe: bool


class Assignments(NamedTuple):
    """The result of one call of `assign`."""

    granted: Sequence[Grant]
    """The requests of a limiter's other models among them."""
    hopeless: Sequence[PermitRequest]
    """Requests that wait in vain: every instance is gone for good or has been silent for too long."""
    wake_at: float | None
    """When time alone may change the answer."""


class Choice(NamedTuple):
    """The request that a limiter's next permit goes to, and the instance that would send it."""

    queue: WaitingQueue
    request: PermitRequest
    instance_state: InstanceState
    is_probe: bool = False


def assign(queue: WaitingQueue, now: float) -> Assignments:
    """Grant what may be sent now. It looks at what has changed since the last call, and leaves no request that may be sent."""
    granted: list[Grant] = []
    queue.wake(now)
    while queue.changed:
        _serve(queue, queue.changed.popitem()[0], now, granted)
    while queue.arrived:
        _place(queue, next(iter(queue.arrived)), now, granted)
    hopeless = () if may_come_back(queue, now) else tuple(queue.everyone)
    for request in hopeless:
        queue.remove(request)
    return Assignments(granted, hopeless, queue.wakes_at())


def _place(queue: WaitingQueue, request: PermitRequest, now: float, granted: list[Grant]) -> None:
    """Offer a new request to the open groups that may take it."""
    for group in queue.open_to(request):
        _serve(queue, group, now, granted)
        if request not in queue.arrived:
            return  # it is granted or over
    del queue.arrived[request]


def _serve(queue: WaitingQueue, group: LimiterGroup, now: float, granted: list[Grant]) -> None:
    """Grant requests of one limiter until it is shut or nobody waits whom its instances may take."""
    while not group.shut_until and (choice := _first(group)) is not None:
        if choice.request.is_over:
            choice.queue.remove(choice.request)
            continue
        limiter, cost = group.limiter, choice.request.cost
        opens_at = limiter.opens_at(cost, now)
        if opens_at is not None and opens_at <= now:
            ticket = limiter.try_acquire(cost, now)
            if ticket is not None:
                granted.append(Grant(choice.request, choice.instance_state, ticket, choice.is_probe))
                _grant(choice)
                continue
            opens_at = limiter.opens_at(cost, now)
        queue.shut(group, opens_at)


def _grant(choice: Choice) -> None:
    choice.queue.remove(choice.request)
    if choice.is_probe:
        choice.queue.probe_sent(choice.instance_state)


# ------------------------------------------------------------------ choice
def _first(group: LimiterGroup) -> Choice | None:
    """Return whom a limiter serves next; None if nobody waits whom its instances may take."""
    if len(group.shares) == 1:
        return _first_of(group.shares[0])
    choices = [choice for share in group.shares if (choice := _first_of(share)) is not None]
    return min(choices, key=lambda choice: choice.request.order, default=None)


def _first_of(share: ModelShare) -> Choice | None:
    """Return whom the instances of one model behind a limiter serve next."""
    first = _own(share) if share.waiting else None
    if share.queue.roaming:
        choices = [*_probes(share), *_roaming(share), *([] if first is None else [first])]
        first = min(choices, key=lambda choice: choice.request.order, default=None)
    return _taken_over(share) if first is None and share.dry else first


def _own(share: ModelShare) -> Choice | None:
    """Return the first request of those that wait for a healthy instance."""
    first: Choice | None = None
    for name, instance_state in share.healthy.items():
        request = share.queue.by_own[name].first()
        if request is not None and (first is None or request.order < first.request.order):
            first = Choice(share.queue, request, instance_state)
    return first


def _probes(share: ModelShare) -> Iterator[Choice]:
    """Yield a request for each silent instance that is due a probe: its own first."""
    queue = share.queue
    for name, instance_state in share.due.items():
        request = queue.by_own[name].first() or queue.roaming.first(partial(queue.may_take, name))
        if request is not None:
            yield Choice(queue, request, instance_state, is_probe=True)


def _roaming(share: ModelShare) -> Iterator[Choice]:
    """Yield the first request that any instance may take, for the first healthy instance that it does not avoid."""
    if not share.healthy:
        return
    queue = share.queue
    request = queue.roaming.first(lambda roaming: any(queue.may_take(name, roaming) for name in share.healthy))
    if request is not None:
        name = next(name for name in share.healthy if queue.may_take(name, request))
        yield Choice(queue, request, share.healthy[name])


def _taken_over(share: ModelShare) -> Choice | None:
    """Return the request that is first of all, for the first dry instance that it does not avoid."""
    request = share.queue.everyone.first(lambda waiting: any(name not in waiting.avoid for name in share.dry))
    if request is None:
        return None
    return Choice(share.queue, request, next(s for name, s in share.dry.items() if name not in request.avoid))


# ------------------------------------------------------------------ hope
def may_come_back(queue: WaitingQueue, now: float) -> bool:
    """Return whether an instance is healthy or may be again: it is not gone for good, and silent for less than OUTAGE_S, NEVER_THERE_S."""
    return queue.has_healthy or any(
        _may_come_back(instance_state, now) for instance_state in queue.instance_states.values()
    )


def _may_come_back(instance_state: InstanceState, now: float) -> bool:
    tracker = instance_state.health_tracker
    is_silent_for_s = 0.0 if tracker.silent_since is None else now - tracker.silent_since
    patience_s = OUTAGE_S if tracker.has_answered else NEVER_THERE_S
    return instance_state.is_usable() and (tracker.is_healthy or is_silent_for_s < patience_s)
