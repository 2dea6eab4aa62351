"""A request that waits for a permit, and a set of such requests in the order in which they are served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from ..limits.permit import Cost
from .instance_state import InstanceState, Permit

Order = tuple[bool, int]
"""Whether it comes behind those that go ahead, and its number in the order of arrival: the smallest is served first."""
KEPT = 8
"""Entries of requests that no longer wait, which a heap may hold beyond one for each that does."""


@dataclass(slots=True, eq=False)
class PermitRequest:
    """A request for a permit, as long as it waits for one. The last three fields are set by the dispatcher."""

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
    own: InstanceState | None = None
    """The preferred instance; None if the model has none of this name, or if it is avoided."""
    order: Order = (False, 0)
    granted: asyncio.Future[Permit] | None = None

    @property
    def instance_state(self) -> InstanceState | None:
        """The instance whose permit it waits for; None if any that may send will do."""
        return self.own if self.own is not None and self.own.health_tracker.is_healthy else None

    @property
    def is_over(self) -> bool:
        """Whether it waits no longer: its caller was cancelled, or it has its permit or an error."""
        return self.granted is not None and self.granted.done()

    @property
    def is_roaming(self) -> bool:
        """Whether it waits for any instance that may send: its own is avoided, unhealthy or unknown."""
        return self.own is None or not self.own.health_tracker.is_healthy


class ServiceOrder:
    """Requests in the order of service. Adding, removing and finding the first one cost O(log n)."""

    def __init__(self) -> None:
        self._heap: list[tuple[Order, PermitRequest]] = []
        self._members: dict[PermitRequest, None] = {}

    def __len__(self) -> int:
        return len(self._members)

    def __bool__(self) -> bool:
        return bool(self._members)

    def __iter__(self) -> Iterator[PermitRequest]:
        return iter(self._members)

    def __contains__(self, request: PermitRequest) -> bool:
        return request in self._members

    def add(self, request: PermitRequest) -> None:
        """Add a request."""
        self._members[request] = None
        heappush(self._heap, (request.order, request))

    def discard(self, request: PermitRequest) -> None:
        """Remove a request if it is in here."""
        self._members.pop(request, None)
        if len(self._heap) > 2 * len(self._members) + KEPT:
            self._heap = [(member.order, member) for member in self._members]
            heapify(self._heap)

    def first(self, fits: Callable[[PermitRequest], bool] | None = None) -> PermitRequest | None:
        """Return the first request, or the first that `fits`; those before it are passed over one by one."""
        heap, passed = self._heap, []
        while heap and (heap[0][1] not in self._members or (fits is not None and not fits(heap[0][1]))):
            entry = heappop(heap)
            if entry[1] in self._members:
                passed.append(entry)
        found = heap[0][1] if heap else None
        for entry in passed:
            heappush(heap, entry)
        return found
