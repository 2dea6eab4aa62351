"""Modelled endpoints: an admission rule, a latency law, and how they fail. The client does not know the limits.

What the simulator does not have is defined here: a window that delays requests instead of refusing them.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from providers.messages import RateLimitHint, Usage
from providers.simulator.limits.latency import Job, ProcessorSharing
from providers.simulator.settings.provider import LatencySettings
from runners.limits.permit import Settled

from .admission import Open, Rule
from .requests import Request
from .timeline import Timeline

Reply = Callable[[Settled], None]
SPEED = 50.0
"""Output tokens per second."""
BASE_S = 0.4


def latency_of(base_s: float = BASE_S, speed: float = SPEED) -> Callable[[Request], float]:
    """Return the latency law: a base plus the output at a constant speed, times the request's factor."""
    return lambda request: (base_s + request.output / speed) * request.factor


@dataclass(frozen=True, slots=True)
class Traits:
    """How an endpoint answers, apart from admission. Times in seconds."""

    latency: Callable[[Request], float] = latency_of()  # noqa: RUF009 - a pure function
    refuses_in: tuple[float, float] = (0.05, 0.12)
    arrives_in: tuple[float, float] = (0.0, 0.0)
    fails: float = 0.0
    dies_at: float = math.inf
    slow: Callable[[float], float] = lambda now: 1.0  # noqa: ARG005
    """Factor on latency at a time."""


class Server:
    """An endpoint on a timeline. `peak` is the maximum of requests inside at once, `levels` their number over time."""

    def __init__(self, timeline: Timeline, draw: random.Random, rule: Rule, traits: Traits) -> None:
        self.inside = 0
        self.peak = 0
        self.refused_by_chance = 0
        self.levels: list[tuple[float, int]] = [(0.0, 0)]
        self._timeline, self._draw, self._rule, self._traits = timeline, draw, rule, traits

    def submit(self, request: Request, reply: Reply) -> None:
        """Send a request; `reply` gets the result."""
        if self._traits.arrives_in[1]:
            self._timeline.at(
                self._timeline.now + self._draw.uniform(*self._traits.arrives_in), self._arrive, request, reply
            )
        else:
            self._arrive(request, reply)

    def _arrive(self, request: Request, reply: Reply) -> None:
        now = self._timeline.now
        if now >= self._traits.dies_at:
            self._answer(now, self._draw.uniform(0.2, 1.0), reply, "failed", None)
            return
        refusal = self._rule.admit(request, self.inside, now)
        if refusal is not None:
            self.refused_by_chance += refusal.by_chance
            self._answer(now, self._draw.uniform(*self._traits.refuses_in), reply, "throttled", refusal.hint())
            return
        self._move(1)
        self.peak = max(self.peak, self.inside)
        self._serve(request, reply, self._rule.remaining(now))

    def _move(self, by: int) -> None:
        self.inside += by
        self.levels.append((self._timeline.now, self.inside))

    def _answer(self, now: float, delay_s: float, reply: Reply, how: str, hint: RateLimitHint | None) -> None:
        settled = Settled("failed" if how == "failed" else "throttled", delay_s, None, hint)
        self._timeline.at(now + delay_s, reply, settled)

    def _serve(self, request: Request, reply: Reply, hint: RateLimitHint | None) -> None:
        now, traits = self._timeline.now, self._traits
        latency_s = traits.latency(request) * traits.slow(now)
        failed = bool(traits.fails) and self._draw.random() < traits.fails
        if failed:
            latency_s = self._draw.uniform(0.2, max(0.2, latency_s))
        self._timeline.at(now + latency_s, self._end, request, reply, hint, now, failed)

    def _end(self, request: Request, reply: Reply, hint: RateLimitHint | None, since: float, failed: bool) -> None:
        now = self._timeline.now
        self._move(-1)
        self._rule.finish(request, now)
        usage = None if failed else Usage(request.prompt, request.output)
        reply(Settled("failed" if failed else "succeeded", now - since, usage, hint))


def one_quota(timeline: Timeline, draw: random.Random, rule: Rule, traits: Traits, deployments: int) -> list[Server]:
    """Build several deployments of one quota: every server counts what all of them admit."""
    return [Server(timeline, draw, rule, traits) for _ in range(deployments)]


class SharedServer(Server):
    """Processor sharing: full speed up to K answers, constant throughput beyond, `seats` in service, the rest in a queue."""

    def __init__(self, timeline: Timeline, draw: random.Random, traits: Traits, saturates_at: int, seats: int) -> None:
        super().__init__(timeline, draw, Open(), traits)
        self._sharing = ProcessorSharing(LatencySettings(saturates_at=saturates_at, seats=seats))
        self._open: dict[Job, tuple[Request, Reply, float]] = {}
        self._booked = 0

    def _serve(self, request: Request, reply: Reply, hint: RateLimitHint | None) -> None:  # noqa: ARG002
        now = self._timeline.now
        job = Job((self._traits.latency(request),))
        self._open[job] = (request, reply, now)
        self._finish(self._sharing.arrive(job, now))

    def _step(self, booked: int) -> None:
        if booked == self._booked:
            self._finish(self._sharing.advance(self._timeline.now))

    def _finish(self, done: Sequence[Job]) -> None:
        self._booked += 1
        next_at = self._sharing.next_event()
        if next_at is not None:
            self._timeline.at(next_at, self._step, self._booked)
        for job in done:
            request, reply, since = self._open.pop(job)
            self._end(request, reply, None, since, False)


class HoldingServer(Server):
    """A fixed one-minute window of tokens that delays requests until the next window without reporting it."""

    def __init__(self, timeline: Timeline, draw: random.Random, traits: Traits, tokens: int, phase_s: float) -> None:
        super().__init__(timeline, draw, Open(), traits)
        self._tokens, self._phase_s = tokens, phase_s
        self._minute, self._used = -1, 0
        self._line: deque[tuple[Request, Reply, float]] = deque()

    def _serve(self, request: Request, reply: Reply, hint: RateLimitHint | None) -> None:  # noqa: ARG002
        self._line.append((request, reply, self._timeline.now))
        self._let_in()

    def _let_in(self) -> None:
        now = self._timeline.now
        minute = math.floor((now + self._phase_s) / 60 + 1e-9)
        if minute != self._minute:
            self._minute, self._used = minute, 0
        while self._line:
            request, reply, since = self._line[0]
            if self._used + request.used > self._tokens:
                self._timeline.at((minute + 1) * 60 - self._phase_s + 1e-6, self._let_in)
                return
            self._used += request.used
            self._line.popleft()
            self._timeline.at(now + self._traits.latency(request), self._end, request, reply, None, since, False)
