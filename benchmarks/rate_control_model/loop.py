"""The closed loop: instances pull from one queue whenever their controller says go; what was refused returns to its head."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from runners.limits.permit import Cost, Go, Settled, WaitForEvent, WaitUntil

from .requests import Request
from .servers import Server
from .timeline import Timeline


class Controller(Protocol):
    def acquire(self, cost: Cost, now: float) -> Go | WaitUntil | WaitForEvent: ...
    def settle(self, ticket: int, settled: Settled, now: float) -> None: ...


class BackingOff(Controller, Protocol):
    """A controller under which a refused request sleeps on its own, as in a retrying client, instead of going back to the queue."""

    def sleep_s(self, tries: int, settled: Settled) -> float: ...
    def woke(self) -> None: ...


class Instance:
    """One server, its controller, and the queue that it pulls from."""

    def __init__(self, loop: Loop, server: Server, controller: Controller) -> None:
        self.server = server
        self.controller = controller
        self.done = 0
        self._loop = loop
        self._alarm = float("inf")

    def pull(self, alarm: float | None = None) -> None:
        if alarm == self._alarm:
            self._alarm = float("inf")
        loop = self._loop
        queue, now = loop.queue, loop.timeline.now
        while queue:
            request, tries = queue[0]
            decision = self.controller.acquire(Cost(request.prompt, request.most_output), now)
            if not isinstance(decision, Go):
                if isinstance(decision, WaitUntil):
                    self._set_alarm(decision.at)
                return
            queue.popleft()
            loop.sent += 1
            self.server.submit(request, self._reply_to(request, tries, decision.ticket, self.controller))

    def _set_alarm(self, at: float) -> None:
        assert at > self._loop.timeline.now, "a wait must end later than now"
        if at < self._alarm:
            self._alarm = at
            self._loop.timeline.at(at, self.pull, at)

    def _reply_to(self, request: Request, tries: int, ticket: int, controller: Controller) -> Callable[[Settled], None]:
        """Tickets are settled where they were taken, whoever controls the instance by then."""

        def reply(settled: Settled) -> None:
            loop = self._loop
            controller.settle(ticket, settled, loop.timeline.now)
            if settled.how == "throttled":
                loop.on_refused(controller, settled)
            if settled.how == "succeeded":
                self.done += 1
                loop.finished(settled.latency_s)
            else:
                loop.count(settled)
                self._return(request, tries + 1, settled)
            loop.wake()

        return reply

    def _return(self, request: Request, tries: int, settled: Settled) -> None:
        loop = self._loop
        sleep_s = getattr(self.controller, "sleep_s", None)
        if sleep_s is not None:
            loop.timeline.at(loop.timeline.now + sleep_s(tries, settled), self._wake_up, request, tries)
        elif settled.how == "throttled":
            loop.queue.appendleft((request, tries))
        else:
            loop.queue.append((request, tries))

    def _wake_up(self, request: Request, tries: int) -> None:
        self.controller.woke()  # type: ignore[attr-defined]
        self._loop.queue.appendleft((request, tries))
        self._loop.wake()


class Loop:
    def __init__(self, requests: Sequence[Request]) -> None:
        self.timeline = Timeline()
        self.queue: deque[tuple[Request, int]] = deque((request, 0) for request in requests)
        self.instances: list[Instance] = []
        self.left = len(requests)
        self.sent = self.refused = self.failed = 0
        self.on_refused: Callable[[Controller, Settled], None] = lambda _controller, _settled: None
        """Told after the controller."""
        self.latencies_s: list[float] = []
        self.ended_at: list[float] = []

    def add(self, server: Server, controller: Controller) -> None:
        self.instances.append(Instance(self, server, controller))

    def run(self, latest: float) -> None:
        for instance in self.instances:
            self.timeline.at(0.0, instance.pull)
        self.timeline.run(lambda: self.left == 0, latest)

    def finished(self, latency_s: float) -> None:
        self.left -= 1
        self.latencies_s.append(latency_s)
        self.ended_at.append(self.timeline.now)

    def count(self, settled: Settled) -> None:
        if settled.how == "throttled":
            self.refused += 1
        else:
            self.failed += 1

    def wake(self) -> None:
        for instance in self.instances:
            instance.pull()
