"""Modelled endpoints: an admission rule, a latency law, and the form of a refusal. The client does not know the limits.

The meters are the simulator's own. What the simulator does not have is defined here: a quota that dips, and a window that delays requests
instead of refusing them.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from providers.messages import RateLimitHint, Usage
from providers.simulator.limits.latency import Job, ProcessorSharing
from providers.simulator.limits.quota import Meter
from providers.simulator.settings import LatencySettings
from runners.limits.permit import Settled

from .requests import Request
from .timeline import Timeline

Reply = Callable[[Settled], None]
SPEED = 50.0
"""Output tokens per second."""
SILENT = RateLimitHint()
"""A hint without information."""
BASE_S = 0.4


def latency_of(base_s: float = BASE_S, speed: float = SPEED) -> Callable[[Request], float]:
    """Return the latency law: a base plus the output at a constant speed, times the request's factor."""
    return lambda request: (base_s + request.output / speed) * request.factor


def hint(retry_after_s: float | None, requests: float | None = None, tokens: float | None = None) -> RateLimitHint:
    """Build a hint of the wait and the remaining amounts."""
    return RateLimitHint(retry_after_s, None, None, requests, tokens)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal and what it states."""

    retry_after_s: float | None = None
    words: RateLimitHint = SILENT
    """The limits that its message states."""
    by_chance: bool = False
    """Whether it would have come whatever the sender had sent before."""

    def hint(self) -> RateLimitHint | None:
        """Return what the refusal states; None where it states nothing."""
        stated = replace(self.words, retry_after_s=self.retry_after_s)
        return None if stated == SILENT else stated


class Rule(Protocol):
    """An admission rule. `admit` counts the requests that it admits; `finish` gets the usage of a finished request."""

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:
        """Admit or refuse a request."""

    def finish(self, request: Request, now: float) -> None:
        """Count a finished request."""

    def remaining(self, now: float) -> RateLimitHint | None:
        """Return what remains of the limits, if the endpoint reports it."""


class Open:
    """A rule that admits every request."""

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:  # noqa: ARG002
        """Admit the request."""
        return None

    def finish(self, request: Request, now: float) -> None:
        """Do nothing."""

    def remaining(self, now: float) -> RateLimitHint | None:  # noqa: ARG002
        """Report nothing."""
        return None


class Seats(Open):
    """A rule that admits at most `seats` requests at a time."""

    def __init__(self, seats: int) -> None:
        self._seats = seats

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:  # noqa: ARG002
        """Refuse where all seats are taken."""
        return Refusal() if inside >= self._seats else None


@dataclass(frozen=True, slots=True)
class Tells:
    """What the endpoint reports besides admitting or refusing."""

    retry_after: bool = False
    always_s: float | None = None
    """One Retry-After for every refusal, correct or not."""
    remaining: bool = False
    token_scale: float = 1.0
    """Remaining tokens are reported in the server's own unit."""
    whole_seconds: bool = False
    """Retry-After is rounded up."""
    words: RateLimitHint = SILENT
    """What every refusal states about its quota."""


class Metered:
    """A rule with separate meters for requests and tokens. Tokens count as prompt + max_tokens on arrival, or as the usage at the end."""

    def __init__(
        self,
        requests: Meter | None,
        tokens: Meter | None = None,
        *,
        counts: Callable[[Request], int] = lambda request: request.ceiling,
        afterwards: bool = False,
        tells: Tells = Tells(),
    ) -> None:
        self._requests, self._tokens = requests, tokens
        self._counts, self._afterwards, self._tells = counts, afterwards, tells

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:  # noqa: ARG002
        """Admit where both meters have room."""
        amount = 1 if self._afterwards else self._counts(request)
        ready_at = now if self._requests is None else self._requests.ready_at(1, now)
        if self._tokens is not None:
            ready_at = max(ready_at, self._tokens.ready_at(amount, now))
        if ready_at > now:
            return self._refusal(ready_at - now)
        if self._requests is not None:
            self._requests.count(1, now)
        if self._tokens is not None and not self._afterwards:
            self._tokens.count(amount, now)
        return None

    def finish(self, request: Request, now: float) -> None:
        """Count the usage, where tokens are counted at the end."""
        if self._tokens is not None and self._afterwards:
            self._tokens.count(request.used, now)

    def remaining(self, now: float) -> RateLimitHint | None:
        """Return what remains of both meters, if the endpoint reports it."""
        if not self._tells.remaining:
            return None
        requests = None if self._requests is None else self._requests.remaining(now)
        tokens = None if self._tokens is None else self._tokens.remaining(now) * self._tells.token_scale
        return hint(None, requests, tokens)

    def _refusal(self, wait_s: float) -> Refusal:
        if self._tells.always_s is not None:
            return Refusal(self._tells.always_s, self._tells.words)
        parts = 1 if self._tells.whole_seconds else 1000
        return Refusal(math.ceil(wait_s * parts) / parts if self._tells.retry_after else None, self._tells.words)


class DippingBucket(Open):
    """A bucket of requests whose refill is halved between two times: a 429 for capacity, unrelated to the quota."""

    def __init__(self, rate: float, burst: float, dip: tuple[float, float]) -> None:
        self._rate, self._burst, self._dip = rate, burst, dip
        self._level, self._at = burst, 0.0

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:  # noqa: ARG002
        """Admit where the bucket has a token."""
        rate = self._rate * (0.5 if self._dip[0] <= now < self._dip[1] else 1.0)
        self._level = min(self._burst, self._level + rate * (now - self._at))
        self._at = now
        if self._level < 1:
            return Refusal()
        self._level -= 1
        return None


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
