"""One quota behind several deployments, and what only looks like one: endpoints, the loop over them, and what was recognised."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from providers.messages import RateLimitHint
from providers.simulator.quota import FixedWindow, Meter, SlidingWindow
from runners.limits.adaptive.state import AdaptiveLimits
from runners.limits.permit import Settled
from runners.limits.quota_sharing import Merger, QuotaSharing

from .loop import Controller, Loop
from .requests import Request
from .scenarios import fixed_window
from .servers import Metered, Open, Refusal, Server, Tells, Traits, one_quota
from .timeline import Timeline

TOKENS_PER_MINUTE = 400_000
AZURE_WORDS = RateLimitHint(
    stated_limit=TOKENS_PER_MINUTE,
    stated_window_s=60.0,
    stated_unit="tokens",
    stated_quota="UserByModelByMinuteTokens",
)
LIMIT_IN_WORDS = replace(AZURE_WORDS, stated_quota=None)
SILENT = RateLimitHint()
TRAITS = Traits(latency=lambda request: 5.0 * request.factor)


def two_thousand_tokens(n: int, draw: random.Random) -> list[Request]:
    return [Request(1500, 500, 500, draw.lognormvariate(0, 0.15)) for _ in range(n)]


def by_tokens(meter: Meter, words: RateLimitHint = SILENT) -> Metered:
    """Tokens on arrival; a refusal names the wait in whole seconds."""
    tells = Tells(retry_after=True, whole_seconds=True, words=words)
    return Metered(None, meter, counts=lambda request: request.used, tells=tells)


class RandomRefusals(Open):
    """Refuses a share of what arrives, whatever was sent before, and names one wait."""

    def __init__(self, share: float, wait_s: float, draw: random.Random) -> None:
        self._share, self._wait_s, self._draw = share, wait_s, draw

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:  # noqa: ARG002
        return Refusal(self._wait_s) if self._draw.random() < self._share else None


class Outages(Open):
    """Refuses everything from time to time and names one wait that is not the outage's end."""

    def __init__(self, every_s: float, lasts_s: float, wait_s: float) -> None:
        self._every_s, self._lasts_s, self._wait_s = every_s, lasts_s, wait_s

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:  # noqa: ARG002
        return Refusal(self._wait_s) if now % self._every_s > self._every_s - self._lasts_s else None


Build = Callable[[Timeline, random.Random], Sequence[Server]]


@dataclass(slots=True)
class QuotaRun:
    """A batch over several deployments of one model, and what was found on the way."""

    loop: Loop
    controllers: list[AdaptiveLimits] = field(default_factory=list)
    mergers: list[Merger[AdaptiveLimits]] = field(default_factory=list)
    merged_at: list[float] = field(default_factory=list)

    def refused(self, sharing: QuotaSharing[AdaptiveLimits], controller: Controller, settled: Settled) -> None:
        now = self.loop.timeline.now
        if not isinstance(controller, AdaptiveLimits):
            return
        merger = sharing.refused(controller, now - settled.latency_s, now, settled.hint)
        if merger is None:
            return
        self.mergers.append(merger)
        self.merged_at.append(now)
        for instance in self.loop.instances:
            if instance.controller in merger.absorbed:
                instance.controller = merger.limits


def run_quota(build: Build, requests: Sequence[Request], seed: int, most: Sequence[int | None] = ()) -> QuotaRun:
    """Adaptive limits over what `build` gives; `most` bounds what is in flight at each."""
    run = QuotaRun(Loop(requests))
    for index, server in enumerate(build(run.loop.timeline, random.Random(f"quota {seed}"))):
        run.controllers.append(AdaptiveLimits(most=most[index] if most else None))
        run.loop.add(server, run.controllers[-1])
    sharing = QuotaSharing({str(index): limits for index, limits in enumerate(run.controllers)})
    run.loop.on_refused = lambda controller, settled: run.refused(sharing, controller, settled)
    run.loop.run(latest=20_000.0)
    return run


def shared(meter: Callable[[], Meter], words: RateLimitHint = SILENT, deployments: int = 3) -> Build:
    return lambda timeline, draw: one_quota(timeline, draw, by_tokens(meter(), words), TRAITS, deployments)


def apart(meters: Callable[[random.Random], Sequence[Meter]], words: RateLimitHint = SILENT) -> Build:
    """Deployments with a quota of their own each."""
    return lambda timeline, draw: [
        Server(timeline, draw, by_tokens(meter, words), TRAITS) for meter in meters(draw)
    ]


def minute(phase_s: float = 0.0, tokens: int = TOKENS_PER_MINUTE) -> FixedWindow:
    return fixed_window(tokens, 60.0, phase_s)


def sliding(tokens: int = TOKENS_PER_MINUTE) -> SlidingWindow:
    return SlidingWindow(tokens, 60.0)
