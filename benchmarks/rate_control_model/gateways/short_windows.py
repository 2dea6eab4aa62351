"""Windows of 3-8 s that a batch meets for twelve of them only: what a start loses is a large part of it.

The proxy counts in windows of whole seconds of its own clock, which the first request opens, and every refusal states their length. No
ideal uses burst credit: a limit per window is used evenly.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from providers.messages import RateLimitHint
from providers.simulator.limits.quota import Meter, SlidingWindow

from .. import ideals
from ..admission import Metered, Tells
from ..requests import Request
from ..scenario import Scenario
from ..servers import Server, Traits, one_quota
from ..timeline import Timeline
from .draws import Source
from .rules import OpenedWindow, ParallelRequests, concurrency_words

WINDOWS_S = (3, 8)
WINDOWS = 12
WORKERS = 16
PROMPT, OUTPUT = 60, 40
LATENCY_S = (0.3, 0.7)
MEAN_S = sum(LATENCY_S) / 2
SEATS = (1, 2, 5)


def equal(n: int, draw: random.Random) -> list[Request]:
    """Generate requests of about 100 tokens each, whose times are even between LATENCY_S."""
    return [Request(PROMPT + draw.randint(-3, 3), OUTPUT, OUTPUT, draw.uniform(*LATENCY_S)) for _ in range(n)]


def _traits(source: Source) -> Traits:
    refuses_s = source.spread(0.01, 0.1)
    return Traits(latency=lambda request: request.factor, refuses_in=(refuses_s, 2 * refuses_s))


def _draw(source: Source, per_minute: Sequence[float], least: float) -> tuple[int, int]:
    """Draw a limit and a window in whole seconds; the rate is one of `per_minute`, or differs from it by a quarter."""
    low, high = WINDOWS_S
    window_s = math.floor(source.spread(low, high + 1))
    amount = source.random.choice(per_minute) * window_s / 60 * source.random.uniform(0.75, 1.25)
    return max(round(amount), round(least)), window_s


def _per_window(limit: float, window_s: int, tokens: int) -> float:
    return limit // tokens / window_s


def _scenario(source: Source, limit: int, window_s: int, unit: str, keys: int) -> Scenario:
    """Build the proxy with its limit of requests or of tokens, which it reserves on arrival."""
    traits, phase_s = _traits(source), source.random.random()
    tokens = 1 if unit == "requests" else PROMPT + OUTPUT
    rate = _per_window(limit, window_s, tokens)
    words = RateLimitHint(stated_kind="requests" if unit == "requests" else "tokens", stated_limit=float(limit))
    tells = Tells(always_s=float(window_s), words=words)

    def build(timeline: Timeline, draw: random.Random) -> Sequence[Server]:  # noqa: ARG001
        meter: Meter = WholeSeconds(OpenedWindow(limit, window_s), phase_s)
        rule = Metered(meter, tells=tells) if unit == "requests" else Metered(None, meter, tells=tells)
        return one_quota(timeline, random.Random(phase_s), rule, traits, keys)

    return Scenario(
        build,
        lambda requests: ideals.sustained(requests, lambda _: 1.0, rate, traits.latency),
        rate,
        ask=equal,
        latency=traits.latency,
        n=max(WINDOWS * limit // tokens * 3, 24),
        most=WORKERS,
        is_one_model=keys > 1,
        seconds=WINDOWS * window_s,
        truth=f"{limit} {unit} per {window_s} s from the first one, {keys} keys",
    )


class WholeSeconds:
    """A meter that is asked in whole seconds of a clock that is `phase_s` ahead."""

    def __init__(self, meter: Meter, phase_s: float) -> None:
        self._meter, self._phase_s = meter, phase_s

    def _whole(self, now: float) -> float:
        return math.floor(now + self._phase_s)

    def ready_at(self, amount: int, now: float) -> float:
        """Compute the earliest time at which `amount` fits."""
        ready_at = self._meter.ready_at(amount, self._whole(now))
        return now if ready_at <= self._whole(now) else ready_at - self._phase_s

    def count(self, amount: int, now: float) -> None:
        """Count `amount`."""
        self._meter.count(amount, self._whole(now))

    def remaining(self, now: float) -> float:
        """Compute the amount that is free in the window."""
        return self._meter.remaining(self._whole(now))

    def full_at(self, now: float) -> float:
        """Compute the end of the window."""
        return max(now, self._meter.full_at(self._whole(now)) - self._phase_s)


def short_requests(source: Source, index: int) -> Scenario:
    """Draw 6, 60 or 600 requests per minute, give or take a quarter; every fourth one counts two keys of a team together."""
    limit, window_s = _draw(source, (6.0, 60.0, 600.0), 1.25)
    return _scenario(source, limit, window_s, "requests", 2 if index % 4 == 3 else 1)


def short_tokens(source: Source, index: int) -> Scenario:  # noqa: ARG001 - all families are drawn alike
    """Draw 300, 6,000 or 60,000 tokens per minute, give or take a quarter, and at least one request per window."""
    limit, window_s = _draw(source, (300.0, 6000.0, 60_000.0), 1.25 * (PROMPT + OUTPUT))
    return _scenario(source, limit, window_s, "tokens", 1)


def short_relay(source: Source, index: int) -> Scenario:
    """Draw 60-600 requests per minute in a sliding window whose refusals state nothing; every second one is behind two keys."""
    limit, window_s = _draw(source, (60.0, 180.0, 600.0), 2)
    keys = 1 + index % 2
    scenario = _scenario(source, limit, window_s, "requests", keys)
    traits = _traits(source)

    def build(timeline: Timeline, draw: random.Random) -> Sequence[Server]:
        return one_quota(timeline, draw, Metered(SlidingWindow(limit, window_s)), traits, keys)

    return replace(scenario, build=build, truth=f"{limit} requests in any {window_s} s, {keys} keys")


def short_seats(source: Source, index: int) -> Scenario:
    """Draw 1, 2 or 5 requests in flight, for twelve windows of which refusals state the length; every second one names its kind."""
    seats, traits = SEATS[index % 3], _traits(source)
    window_s = math.floor(source.spread(*WINDOWS_S))
    words = concurrency_words() if index % 2 == 0 else RateLimitHint()
    return Scenario(
        lambda timeline, draw: (Server(timeline, draw, ParallelRequests(seats, window_s, words), traits),),
        lambda requests: ideals.packed(requests, traits.latency, seats),
        seats / MEAN_S,
        ask=equal,
        latency=traits.latency,
        n=math.ceil(2 * WINDOWS * window_s * seats / MEAN_S),
        most=WORKERS,
        seconds=WINDOWS * window_s,
        truth=f"{seats} in flight, {window_s} s stated after {traits.refuses_in[0]:.3f} s",
    )


SHORT_WINDOWS: dict[str, Callable[[Source, int], Scenario]] = {
    "short requests": short_requests,
    "short tokens": short_tokens,
    "short relay": short_relay,
    "short seats": short_seats,
}
