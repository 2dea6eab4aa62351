"""The discrete-event loop: calls in order of their virtual time, and of their scheduling where times are equal."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Timeline:
    """A virtual clock with scheduled calls."""

    def __init__(self) -> None:
        self.now = 0.0
        self._booked: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._order = 0

    def at(self, when: float, call: Callable[..., None], *arguments: object) -> None:
        """Call at `when`, or now where that is past."""
        self._order += 1
        heapq.heappush(self._booked, (max(when, self.now), self._order, call, arguments))

    def run(self, is_over: Callable[[], bool], latest: float) -> None:
        """Run until `is_over`, until no call is scheduled, or until `latest`."""
        booked = self._booked
        while booked and not is_over():
            when, _, call, arguments = heapq.heappop(booked)
            if when > latest:
                self.now = latest
                return
            self.now = when
            call(*arguments)
