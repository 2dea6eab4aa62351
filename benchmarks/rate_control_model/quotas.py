"""One quota shared by several deployments, and cases that only resemble it: endpoints, the loop over them, and what was detected."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from providers.messages import RateLimitHint
from providers.simulator.limits.quota import FixedWindow, Meter, SlidingWindow, TokenBucket
from runners.limits.adaptive.state import AdaptiveLimits
from runners.limits.permit import Settled
from runners.limits.quota_sharing import Merger, QuotaSharing

from .admission import SILENT, Metered, Open, Refusal, Rule, Tells
from .loop import Controller, Loop
from .requests import Request, chat, even
from .scenarios import fixed_window
from .servers import Server, Traits, one_quota
from .timeline import Timeline

TOKENS_PER_MINUTE = 400_000
AZURE_WORDS = RateLimitHint(
    stated_limit=TOKENS_PER_MINUTE,
    stated_window_s=60.0,
    stated_kind="tokens",
    stated_quota="UserByModelByMinuteTokens",
)
LIMIT_IN_WORDS = replace(AZURE_WORDS, stated_quota=None)
TRAITS = Traits(latency=lambda request: 5.0 * request.factor)


def two_thousand_tokens(n: int, draw: random.Random) -> list[Request]:
    """Generate requests of 2,000 tokens."""
    return [Request(1500, 500, 500, draw.lognormvariate(0, 0.15)) for _ in range(n)]


def by_tokens(meter: Meter, words: RateLimitHint = SILENT) -> Metered:
    """Build a rule that counts tokens on arrival; a refusal states the wait in whole seconds."""
    tells = Tells(retry_after=True, whole_seconds=True, words=words)
    return Metered(None, meter, counts=lambda request: request.used, tells=tells)


class RandomRefusals(Open):
    """A rule that refuses a random share of the requests, independent of what was sent, and states one fixed wait."""

    def __init__(self, share: float, wait_s: float, draw: random.Random) -> None:
        self._share, self._wait_s, self._draw = share, wait_s, draw

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:  # noqa: ARG002
        """Refuse at random."""
        return Refusal(self._wait_s) if self._draw.random() < self._share else None


class Outages(Open):
    """A rule that refuses everything from time to time and states a fixed wait that is not the end of the outage."""

    def __init__(self, every_s: float, lasts_s: float, wait_s: float) -> None:
        self._every_s, self._lasts_s, self._wait_s = every_s, lasts_s, wait_s

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:  # noqa: ARG002
        """Refuse during an outage."""
        return Refusal(self._wait_s) if now % self._every_s > self._every_s - self._lasts_s else None


Build = Callable[[Timeline, random.Random], Sequence[Server]]


@dataclass(slots=True)
class QuotaRun:
    """A batch over several deployments of one model, and the detected shared quotas."""

    loop: Loop
    controllers: list[AdaptiveLimits] = field(default_factory=list)
    mergers: list[Merger[AdaptiveLimits]] = field(default_factory=list)
    merged_at: list[float] = field(default_factory=list)

    def refused(self, sharing: QuotaSharing[AdaptiveLimits], controller: Controller, settled: Settled) -> None:
        """Report a refusal to the detector, and merge the limits where it finds a shared quota."""
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


def share_quotas(loop: Loop, controllers: list[AdaptiveLimits]) -> QuotaRun:
    """Let the refusals of the loop's instances show whether they share a quota."""
    run = QuotaRun(loop, controllers)
    sharing = QuotaSharing({str(index): limits for index, limits in enumerate(controllers)})
    loop.on_refused = lambda controller, settled: run.refused(sharing, controller, settled)
    return run


def run_quota(build: Build, requests: Sequence[Request], seed: int, most: Sequence[int | None] = ()) -> QuotaRun:
    """Run adaptive limits over the servers that `build` gives; `most` bounds the requests in flight at each."""
    loop = Loop(requests)
    controllers: list[AdaptiveLimits] = []
    for index, server in enumerate(build(loop.timeline, random.Random(f"quota {seed}"))):
        controllers.append(AdaptiveLimits(most=most[index] if most else None))
        loop.add(server, controllers[-1])
    run = share_quotas(loop, controllers)
    loop.run(latest=20_000.0)
    return run


def shared(meter: Callable[[], Meter], words: RateLimitHint = SILENT, deployments: int = 3) -> Build:
    """Build deployments that share one quota."""
    return lambda timeline, draw: one_quota(timeline, draw, by_tokens(meter(), words), TRAITS, deployments)


def apart(meters: Callable[[random.Random], Sequence[Meter]], words: RateLimitHint = SILENT) -> Build:
    """Build deployments with a quota of their own each."""
    return lambda timeline, draw: [Server(timeline, draw, by_tokens(meter, words), TRAITS) for meter in meters(draw)]


def minute(phase_s: float = 0.0, tokens: int = TOKENS_PER_MINUTE) -> FixedWindow:
    """Create a fixed window of one minute."""
    return fixed_window(tokens, 60.0, phase_s)


def sliding(tokens: int = TOKENS_PER_MINUTE) -> SlidingWindow:
    """Create a sliding window of one minute."""
    return SlidingWindow(tokens, 60.0)


# ------------------------------------------------------------------ cases that only resemble one quota
@dataclass(frozen=True, slots=True)
class Lookalike:
    """Deployments that share nothing; drawn at random, so that coincidences occur."""

    name: str
    rules: Callable[[random.Random, int], Sequence[Rule]]


def _tokens(meter: Meter, words: RateLimitHint, *, afterwards: bool = False, ceiling: bool = False) -> Metered:
    tells = Tells(retry_after=True, whole_seconds=True, words=words)
    counts = (lambda request: request.ceiling) if ceiling else (lambda request: request.used)
    return Metered(None, meter, counts=counts, afterwards=afterwards, tells=tells)


def _limits(draw: random.Random, count: int, *, alike: bool) -> list[int]:
    common_limit = draw.randrange(20_000, 120_000)
    return [common_limit if alike else draw.randrange(20_000, 120_000) for _ in range(count)]


def _aligned(*, alike: bool, worded: bool) -> Callable[[random.Random, int], Sequence[Rule]]:
    """Build fixed windows that begin at the same minute and are all used up."""

    def rules(draw: random.Random, count: int) -> Sequence[Rule]:
        phase_s, by_ceiling, later = draw.uniform(0, 60), draw.random() < 0.3, draw.random() < 0.3
        return [
            _tokens(
                minute(phase_s, limit),
                replace(AZURE_WORDS, stated_limit=limit) if worded else SILENT,
                afterwards=later,
                ceiling=by_ceiling,
            )
            for limit in _limits(draw, count, alike=alike)
        ]

    return rules


def _gliding(draw: random.Random, count: int) -> Sequence[Rule]:
    """Build sliding windows and buckets that state their limit."""
    return [
        _tokens(
            SlidingWindow(limit, 60.0) if draw.random() < 0.5 else TokenBucket(limit / 60, limit),
            replace(AZURE_WORDS, stated_limit=limit),
            ceiling=draw.random() < 0.5,
        )
        for limit in _limits(draw, count, alike=draw.random() < 0.5)
    ]


def _finer(draw: random.Random, count: int) -> Sequence[Rule]:
    """Build limits that are stated per minute but counted in windows of ten seconds that begin together."""
    limit, phase_s = draw.randrange(6, 20), draw.uniform(0, 10)
    words = RateLimitHint(stated_limit=6.0 * limit, stated_window_s=60.0, stated_kind="requests")
    tells = Tells(retry_after=True, whole_seconds=True, words=words)
    return [Metered(fixed_window(limit, 10.0, phase_s), tells=tells) for _ in range(count)]


def _constant_wait(draw: random.Random, count: int) -> Sequence[Rule]:
    """Build windows of requests that begin at the same minute; every refusal states a wait of one minute."""
    phase_s = draw.uniform(0, 60)
    limits = [draw.randrange(40, 200) for _ in range(count)]
    return [Metered(fixed_window(limit, 60.0, phase_s), tells=Tells(always_s=60.0)) for limit in limits]


def _random(draw: random.Random, count: int) -> Sequence[Rule]:
    share, wait_s = draw.choice([0.01, 0.03, 0.08]), draw.choice([1.0, 3.0, 10.0, 30.0, 60.0])
    return [RandomRefusals(share, wait_s, draw) for _ in range(count)]


def _outage(draw: random.Random, count: int) -> Sequence[Rule]:
    every_s, wait_s = draw.uniform(60, 200), draw.choice([5.0, 10.0, 30.0, 60.0])
    return [Outages(every_s, draw.uniform(5, 40), wait_s)] * count


LOOKALIKES = [
    Lookalike("aligned windows, alike", _aligned(alike=True, worded=False)),
    Lookalike("aligned windows", _aligned(alike=False, worded=False)),
    Lookalike("aligned windows in words, alike", _aligned(alike=True, worded=True)),
    Lookalike("aligned windows in words", _aligned(alike=False, worded=True)),
    Lookalike("sliding windows and buckets in words", _gliding),
    Lookalike("a minute stated, ten seconds counted", _finer),
    Lookalike("one wait whatever is true", _constant_wait),
    Lookalike("random refusals", _random),
    Lookalike("outages", _outage),
]


def run_lookalike(lookalike: Lookalike, index: int, n: int = 600) -> QuotaRun:
    """Run two to four deployments with heavy-tailed or even requests and answers that take about 0.5 to 20 s."""
    draw = random.Random(f"{lookalike.name} {index}")
    count, latency_s = draw.randrange(2, 5), draw.choice([0.5, 2.0, 5.0, 20.0])
    requests = (chat if draw.random() < 0.5 else even)(n, draw)
    most = [draw.choice([None, 3, 10, 50]) for _ in range(count)] if draw.random() < 0.7 else [None] * count
    traits = Traits(latency=lambda request: latency_s * request.factor)

    def build(timeline: Timeline, draw: random.Random) -> Sequence[Server]:
        return [Server(timeline, draw, rule, traits) for rule in lookalike.rules(draw, count)]

    return run_quota(build, requests, index, most)
