"""The waiting requests of one model, and what `assign` must look at: the limiters that may be open, and when the others open.

A request joins once and stays until it is granted, cancelled or out of time. It is indexed by its own instance, and among those that any
instance may take while its own is unhealthy. Nothing here costs more than O(log n), but for a change of health or of limiters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import chain, count
from typing import TypeVar

from ..limits.permit import TICK_S, Limiter
from .health import PROBED
from .instance_state import InstanceState
from .permit_request import PermitRequest, ServiceOrder

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class LimiterGroup:
    """A limiter, and the instances that it limits, by model."""

    limiter: Limiter
    shares: list[ModelShare] = field(default_factory=list)
    shut_until: float = 0.0
    """0 if it may be open, infinite if only an event can open it."""
    timed_at: float = math.inf
    """The earliest time for which it is in a queue's heap of times."""

    def reopen(self) -> None:
        """Note that it may be open again."""
        if self.shut_until:
            self.shut_until = 0.0
            for share in self.shares:
                share.queue.file(share)


@dataclass(slots=True, eq=False)
class LimiterGroups:
    """The limiters of all models of a run, as a limiter may limit instances of several, and the numbers of their requests."""

    by_limiter: dict[Limiter, LimiterGroup] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)
    """Every request gets the next one when it arrives: the order of arrival across models."""


@dataclass(slots=True, eq=False)
class ModelShare:
    """The instances of one model behind one limiter."""

    queue: WaitingQueue
    group: LimiterGroup
    waiting: int = 0
    """Requests that wait and have one of them as their own."""
    healthy: dict[str, InstanceState] = field(default_factory=dict)
    dry: dict[str, InstanceState] = field(default_factory=dict)
    """The healthy instances that have no work of their own left."""
    due: dict[str, InstanceState] = field(default_factory=dict)
    """The silent instances that may be sent a probe now."""


class WaitingQueue:
    """The one queue of a model."""

    def __init__(self, instance_states: Mapping[str, InstanceState], groups: LimiterGroups) -> None:
        self.instance_states = instance_states
        self.everyone = ServiceOrder()
        self.roaming = ServiceOrder()
        """The requests that any instance may take."""
        self.by_own = {name: ServiceOrder() for name in instance_states}
        self.changed: dict[LimiterGroup, None] = {}
        """The groups that `assign` must serve."""
        self.arrived: dict[PermitRequest, None] = {}
        """The requests that `assign` must offer to every open group that may take them."""
        self.open: dict[ModelShare, None] = {}
        """The shares that may send a request at once, as far as is known; nobody who waits may be sent there."""
        self.open_dry: dict[ModelShare, None] = {}
        self._groups = groups
        self._shares: dict[Limiter, ModelShare] = {}
        self._healthy: dict[str, None] = {}
        self._due: dict[str, None] = {}
        """The silent instances that may be sent a probe now."""
        self._longest_avoid = 0
        self._times: list[tuple[float, int, LimiterGroup]] = []
        self._probes: list[tuple[float, int, InstanceState]] = []
        self._numbers = groups.numbers
        self.is_sharing = False
        """Whether a limiter limits other models, too: then this queue wakes for their requests as well."""
        self.regroup()

    def __len__(self) -> int:
        return len(self.everyone)

    # ------------------------------------------------------------------ requests
    def add(self, request: PermitRequest) -> bool:
        """Add a request that arrives now; return whether `assign` may find a limiter for it."""
        request.order = (not request.was_sent or request.yields, next(self._numbers))
        if request.prefer not in request.avoid:
            request.own = self.instance_states.get(request.prefer)
        self._longest_avoid = max(self._longest_avoid, len(request.avoid))
        self.everyone.add(request)
        if request.own is not None:
            self.by_own[request.prefer].add(request)
            self._shares[request.own.limiter].waiting += 1
            request.own.waiting += 1
        if request.own is None or not request.own.health_tracker.is_healthy:
            self.roaming.add(request)
            self.arrived[request] = None
            return True
        if self.open_dry:
            self.arrived[request] = None
        if self.by_own[request.prefer].first() is request:
            self._reopen(self._shares[request.own.limiter].group)  # it may fit where the one that was first did not
        return bool(self.arrived or self.changed)

    def remove(self, request: PermitRequest) -> None:
        """Remove a request that waits no longer."""
        self.everyone.discard(request)
        self.roaming.discard(request)
        self.arrived.pop(request, None)
        if request.own is not None:
            self.by_own[request.prefer].discard(request)
            self._shares[request.own.limiter].waiting -= 1
            request.own.waiting -= 1

    @property
    def has_healthy(self) -> bool:
        """Whether an instance is healthy."""
        return bool(self._healthy)

    def may_take(self, name: str, request: PermitRequest) -> bool:
        """Return whether a roaming request may be sent to instance `name`: an avoided one only if no other may send."""
        avoid = request.avoid
        if name not in avoid:
            return True
        sending = len(self._healthy) + len(self._due)
        return len(avoid) >= sending and all(other in avoid for other in chain(self._healthy, self._due))

    def withdraw(self, request: PermitRequest) -> bool:
        """Remove a request that was cancelled or is out of time; return whether others wait, for whom its limiter may be open."""
        if request in self.everyone:
            self.remove(request)
            if request.own is not None:
                self._reopen(self._shares[request.own.limiter].group)
        return bool(self.changed) and bool(self.everyone)

    def is_wanted(self, own: InstanceState) -> bool:
        """Return whether requests wait that the next permit of an instance's limiter goes to."""
        for share in self._shares[own.limiter].group.shares:  # noqa: SIM110 - a generator costs more, and every request asks
            if share.waiting or share.queue.roaming:
                return True
        return False

    # ------------------------------------------------------------------ limiters
    def regroup(self) -> None:
        """Arrange the instances by their limiters: at first, and when several have been found to share one."""
        for share in self._shares.values():
            share.group.shares.remove(share)
        for index in (self._shares, self._healthy, self._due, self.open, self.open_dry):
            index.clear()
        for instance_state in self.instance_states.values():
            limiter = instance_state.limiter
            if limiter not in self._shares:
                group = self._groups.by_limiter.setdefault(limiter, LimiterGroup(limiter))
                self._shares[limiter] = share = ModelShare(self, group)
                group.shares.append(share)
                group.reopen()
            self._shares[limiter].waiting += instance_state.waiting
            self.health_changed(instance_state)
        for share in self._shares.values():
            for other in share.group.shares[1:] and share.group.shares:
                other.queue.is_sharing = True

    def file(self, share: ModelShare) -> None:
        """Put a share where `assign` looks for it, after a change of its limiter or its instances."""
        is_open = not share.group.shut_until
        for shares, members in ((self.open, share.healthy or share.due), (self.open_dry, share.dry)):
            if is_open and members:
                shares[share] = None
            else:
                shares.pop(share, None)

    def shut(self, group: LimiterGroup, until: float | None) -> None:
        """Note that a limiter gives no ticket until a time, or until an event if it is None."""
        group.shut_until = math.inf if until is None else until
        for share in group.shares:
            share.queue.file(share)
        if group.shut_until < group.timed_at:
            group.timed_at = group.shut_until
            heappush(self._times, (group.shut_until, next(self._numbers), group))

    def settled(self, limiter: Limiter) -> bool:
        """Note that a request of a limiter has ended; return whether anybody waits. A limiter that was absorbed serves nobody."""
        if limiter in self._shares:
            self._reopen(self._shares[limiter].group)
        return bool(self.changed)

    def _reopen(self, group: LimiterGroup) -> None:
        """Note that a limiter may be open again."""
        group.reopen()
        self._mark(group)

    def _mark(self, group: LimiterGroup) -> None:
        """Let `assign` serve a group, unless nobody waits."""
        for share in group.shares:
            if share.queue.everyone:
                self.changed[group] = None

    # ------------------------------------------------------------------ instances
    def health_changed(self, instance_state: InstanceState) -> None:
        """Learn whether an instance is healthy, and whether it has work of its own: they decide which requests it may take."""
        name, share = instance_state.instance.name, self._shares[instance_state.limiter]
        is_healthy = instance_state.health_tracker.is_healthy
        _include(self._healthy, name, None, is_member=is_healthy)
        _include(share.healthy, name, instance_state, is_member=is_healthy)
        _include(share.dry, name, instance_state, is_member=instance_state.takes_over())
        self._not_due(share, name)
        for request in self.by_own[name]:
            if is_healthy:
                self.roaming.discard(request)
            else:
                self.roaming.add(request)
                self.arrived[request] = None
        self.schedule_probe(instance_state)
        if len(self._healthy) + len(self._due) <= self._longest_avoid:
            self.arrived.update(dict.fromkeys(self.roaming))  # an instance that they avoid may be all that is left
        self.file(share)
        self._mark(share.group)

    def schedule_probe(self, instance_state: InstanceState) -> None:
        """Note when a silent instance is due a probe: its state has changed, or its probe has ended."""
        if instance_state.health.state in PROBED:
            heappush(self._probes, (instance_state.health_tracker.opens_at, next(self._numbers), instance_state))

    def probe_sent(self, instance_state: InstanceState) -> None:
        """Note that a probe is sent: no second one may be sent before it ends."""
        share = self._shares[instance_state.limiter]
        instance_state.health_tracker.send_probe()
        self._not_due(share, instance_state.instance.name)
        self.file(share)

    def _not_due(self, share: ModelShare, name: str) -> None:
        self._due.pop(name, None)
        share.due.pop(name, None)

    # ------------------------------------------------------------------ time
    def wake(self, now: float) -> None:
        """Find the limiters and the probes whose time has come. What comes within the timer tick counts."""
        while self._times and self._times[0][0] <= now + TICK_S:
            _, _, group = heappop(self._times)
            group.timed_at = math.inf
            if not group.shut_until or math.isinf(group.shut_until):
                continue
            if group.shut_until <= now + TICK_S:
                self._reopen(group)
            else:
                self.shut(group, group.shut_until)
        while self._probes and self._probes[0][0] <= now:
            _, _, instance_state = heappop(self._probes)
            if not instance_state.health_tracker.is_healthy and instance_state.health_tracker.may_send(now):
                share = self._shares[instance_state.limiter]
                self._due[instance_state.instance.name] = None
                share.due[instance_state.instance.name] = instance_state
                self.file(share)
                self._mark(share.group)

    def wakes_at(self) -> float | None:
        """Return when time alone may change who may send; None if nobody waits or only an event can."""
        if not self.everyone and not self.is_sharing:
            return None
        times = [heap[0][0] for heap in (self._times, self._probes if self.roaming else []) if heap]
        return min(times, default=None)

    def open_to(self, request: PermitRequest) -> Iterator[LimiterGroup]:
        """Yield the groups that may be open and may take a request: first the one of its own instance."""
        if request.own is not None and not self._shares[request.own.limiter].group.shut_until:
            yield self._shares[request.own.limiter].group
        passed: set[ModelShare] = set()
        shares = self.open if request.is_roaming else self.open_dry
        while (share := next((share for share in shares if share not in passed), None)) is not None:
            passed.add(share)
            yield share.group


def _include(members: dict[str, T], name: str, value: T, *, is_member: bool) -> None:
    if is_member:
        members[name] = value
    else:
        members.pop(name, None)
