"""The modelled endpoints by name."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from providers.simulator.limits.quota import FixedWindow, Meter, SlidingWindow, TokenBucket

from . import ideals
from .admission import DippingBucket, Metered, Seats, Tells
from .requests import Request, chat, even
from .scenario import LATENCY, Build, Scenario
from .servers import HoldingServer, Server, SharedServer, Traits, latency_of
from .timeline import Timeline

UNLIMITED = 10**9
AZURE = Tells(retry_after=True, remaining=True)
MINUTE_TOKENS = 13_500
DIP = (300.0, 420.0)


def _one(rule: Callable[[random.Random], Metered | DippingBucket | Seats], traits: Traits = Traits()) -> Build:  # noqa: B008
    return lambda timeline, draw: (Server(timeline, draw, rule(draw), traits),)


def _requests_ideal(rate: float) -> Callable[[Sequence[Request]], float]:
    return lambda requests: ideals.sustained(requests, lambda _: 1.0, rate, LATENCY)


def _ceilings_ideal(rate: float) -> Callable[[Sequence[Request]], float]:
    return lambda requests: ideals.sustained(requests, lambda request: float(request.ceiling), rate, LATENCY)


def _azure(rpm: float, tpm: float, tells: Tells) -> Metered:
    """Build a limit with ten seconds of burst in requests and sixty in tokens."""
    return Metered(TokenBucket(rpm / 60, rpm / 6), TokenBucket(tpm / 60, tpm), tells=tells)


def _minute_latency(request: Request) -> float:
    return 5.7 * request.factor


def _holding(timeline: Timeline, draw: random.Random) -> Sequence[Server]:
    phase_s = draw.uniform(0, 60)
    return (HoldingServer(timeline, draw, Traits(latency=_minute_latency), MINUTE_TOKENS, phase_s),)


def fixed_window(limit: float, window_s: float, phase_s: float) -> FixedWindow:
    """Create a window with boundaries `phase_s` before every multiple of its length, whenever the first request comes."""
    window = FixedWindow(limit, window_s)
    window.ready_at(1, -phase_s)
    return window


def _refusing_minute(draw: random.Random) -> Metered:
    window = fixed_window(MINUTE_TOKENS, 60, draw.uniform(0, 60))
    return Metered(None, window, counts=lambda request: request.used)


def _minute_ideal(requests: Sequence[Request]) -> float:
    """Compute the ideal with half a request less than the quota: a request that does not fit waits for the next minute."""
    return ideals.sustained(requests, lambda request: float(request.used), (MINUTE_TOKENS - 271) / 60, _minute_latency)


def _spike(now: float) -> float:
    return 5.0 if 90 <= now % 180 < 110 else 1.0


def _shared(timeline: Timeline, draw: random.Random) -> Sequence[Server]:
    return (SharedServer(timeline, draw, Traits(), 32, 64),)


HTTP_LATENCY = latency_of(0.04, 500.0)


def _three_sliding(timeline: Timeline, draw: random.Random) -> Sequence[Server]:
    traits = Traits(latency=HTTP_LATENCY, refuses_in=(0.003, 0.012), arrives_in=(0.001, 0.008))
    return [Server(timeline, draw, Metered(SlidingWindow(limit, 10)), traits) for limit in (60, 60, 180)]


WINDOW_LATENCY = latency_of(0.2, 200.0)


def _told_window(meter: Callable[[random.Random], Meter], rate: float) -> Scenario:
    """Build a window of requests that reports what remains, and refuses with the exact time until it has room."""
    build = _one(lambda draw: Metered(meter(draw), tells=AZURE), Traits(latency=WINDOW_LATENCY))
    return Scenario(build, _window_ideal(rate), rate, latency=WINDOW_LATENCY)


def _window_ideal(rate: float) -> Callable[[Sequence[Request]], float]:
    return lambda requests: ideals.sustained(requests, lambda _: 1.0, rate, WINDOW_LATENCY)


def _two_told_windows(timeline: Timeline, draw: random.Random) -> Sequence[Server]:
    traits = Traits(latency=WINDOW_LATENCY, refuses_in=(0.003, 0.012))
    return [Server(timeline, draw, Metered(SlidingWindow(limit, 10), tells=AZURE), traits) for limit in (100, 50)]


SCENARIOS: dict[str, Scenario] = {
    "S1": Scenario(_one(lambda _: _azure(1440, 240_000, AZURE)), _ceilings_ideal(4000), 4000 / 762),
    "S1r": Scenario(_one(lambda _: _azure(300, 2_000_000, AZURE)), _requests_ideal(5), 5.0),
    "S1n": Scenario(_one(lambda _: _azure(1440, 240_000, Tells())), _ceilings_ideal(4000), 4000 / 762),
    "S2r": Scenario(_one(lambda _: Metered(SlidingWindow(300, 60))), _requests_ideal(5), 5.0),
    "S2t": Scenario(
        _one(lambda _: Metered(None, SlidingWindow(120_000, 60), afterwards=True)),
        lambda requests: ideals.sustained(requests, lambda request: float(request.used), 2000, LATENCY),
        2000 / 410,
    ),
    "S2L": Scenario(
        _one(lambda _: Metered(fixed_window(300, 60, 0), tells=Tells(always_s=60.0))), _requests_ideal(5), 5.0
    ),
    "S3": Scenario(_shared, lambda requests: ideals.scheduled(requests, LATENCY, 32), 1600 / 183),
    "S4": Scenario(_one(lambda _: Seats(24)), lambda requests: ideals.scheduled(requests, LATENCY, 24), 24 / 3.7),
    "S5": Scenario(_holding, _minute_ideal, 24.8 / 60, even, _minute_latency),
    "S5e": Scenario(
        _one(_refusing_minute, Traits(latency=_minute_latency)), _minute_ideal, 24.8 / 60, even, _minute_latency
    ),
    "S6": Scenario(
        _one(lambda _: DippingBucket(5.0, 25.0, DIP), Traits(fails=0.01, slow=_spike)),
        lambda requests: ideals.dipping(requests, 5.0, DIP, 1.0101, lambda r, at: LATENCY(r) * _spike(at)),
        5.0,
    ),
    "H3": Scenario(_three_sliding, lambda requests: len(requests) / 30, 30.0, chat, HTTP_LATENCY, n=3600),
    "W1": _told_window(lambda _: SlidingWindow(50, 10), 5.0),
    "W1f": _told_window(lambda draw: fixed_window(50, 10, draw.uniform(0, 10)), 5.0),
    "W6": _told_window(lambda _: SlidingWindow(300, 60), 5.0),
    "W2": Scenario(_two_told_windows, _window_ideal(15.0), 15.0, latency=WINDOW_LATENCY),
}

SHARES = {"H3": (0.2, 0.2, 0.6), "W2": (2 / 3, 1 / 3)}
"""Shares of the true rate, where a scenario has several instances."""

TOLD_WINDOWS = "windows+headers"
FAMILIES = (
    "bucket+headers",
    "bucket silent",
    "sliding rpm",
    "sliding tpm posthoc",
    "fixed rpm",
    "fixed RA60",
    "knee",
    "hard conc",
    TOLD_WINDOWS,
)


@dataclass(frozen=True, slots=True)
class Draw:
    """One random endpoint: all parameters that a held-out family leaves open."""

    rate: float
    concurrency: int
    burst_s: float
    phase_s: float
    token_scale: float
    by_tokens: bool
    traits: Traits
    mean_latency_s: float

    @property
    def minute(self) -> int:
        """Requests per minute, at least 5."""
        return max(5, int(self.rate * 60))


def draw_endpoint(family: str, seed: int, index: int) -> Draw:
    """Draw the parameters of an endpoint log-uniformly.

    Rate 0.5-30/s, concurrency 4-150, burst 1-60 s, 15-120 tokens/s, latency from 0.2-1.5 s, refusals after 0.03-1 s.
    """
    source = random.Random(f"held-out {family} {seed} {index}")

    def spread(low: float, high: float) -> float:
        return math.exp(source.uniform(math.log(low), math.log(high)))

    speed, base_s, refuses_s = spread(15, 120), spread(0.2, 1.5), spread(0.03, 0.4)
    traits = Traits(latency=latency_of(base_s, speed), refuses_in=(refuses_s, 2.5 * refuses_s))
    mean_latency_s = base_s + 160 / speed
    rate, concurrency = spread(0.5, 30), int(spread(4, 150))
    if family in {"knee", "hard conc"}:
        rate = concurrency / mean_latency_s
    return Draw(
        rate,
        concurrency,
        spread(1, 60),
        source.uniform(0, 60),
        source.uniform(0.85, 1.25),
        index % 2 == 1,
        traits,
        mean_latency_s,
    )


CHAT_CEILING = 762.0
CHAT_USED = 410.0


def _bucket_rule(drawn: Draw, headers: bool) -> Metered:
    tells = replace(AZURE, token_scale=drawn.token_scale) if headers else Tells()
    if headers and drawn.by_tokens:
        flow = drawn.rate * CHAT_CEILING
        return Metered(None, TokenBucket(flow, max(3000.0, flow * drawn.burst_s)), tells=tells)
    return Metered(TokenBucket(drawn.rate, max(1.0, drawn.rate * drawn.burst_s)), tells=tells)


def _family_rule(family: str, drawn: Draw) -> Metered | Seats:
    if family.startswith("bucket"):
        return _bucket_rule(drawn, family == "bucket+headers")
    if family == "sliding rpm":
        return Metered(SlidingWindow(drawn.minute, 60))
    if family == "sliding tpm posthoc":
        return Metered(None, SlidingWindow(drawn.rate * 60 * CHAT_USED, 60), afterwards=True)
    if family == "hard conc":
        return Seats(drawn.concurrency)
    tells = Tells(always_s=60.0) if family == "fixed RA60" else Tells()
    return Metered(fixed_window(drawn.minute, 60, drawn.phase_s), tells=tells)


def _family_ideal(family: str, drawn: Draw) -> Callable[[Sequence[Request]], float]:
    latency = drawn.traits.latency
    if family in {"knee", "hard conc"}:
        return lambda requests: ideals.scheduled(requests, latency, drawn.concurrency)
    if family == "bucket+headers" and drawn.by_tokens:
        return lambda requests: ideals.sustained(
            requests, lambda request: float(request.ceiling), drawn.rate * CHAT_CEILING, latency
        )
    if family == "sliding tpm posthoc":
        return lambda requests: ideals.sustained(
            requests, lambda request: float(request.used), drawn.rate * CHAT_USED, latency
        )
    rate = drawn.rate if family.startswith("bucket") else drawn.minute / 60
    return lambda requests: ideals.sustained(requests, lambda _: 1.0, rate, latency)


def held_out(family: str, seed: int, index: int) -> Scenario:
    """Build a random endpoint of `family` with requests for about fifteen minutes of its quota."""
    if family == TOLD_WINDOWS:
        return _held_out_window(seed, index)
    drawn = draw_endpoint(family, seed, index)

    def build(timeline: Timeline, draw: random.Random) -> Sequence[Server]:
        if family == "knee":
            return (SharedServer(timeline, draw, drawn.traits, drawn.concurrency, 2 * drawn.concurrency),)
        return (Server(timeline, draw, _family_rule(family, drawn), drawn.traits),)

    n = int(min(8000, max(500, drawn.rate * 900)))
    return Scenario(build, _family_ideal(family, drawn), drawn.rate, latency=drawn.traits.latency, n=n)


def _held_out_window(seed: int, index: int) -> Scenario:
    """Draw 60-3000 RPM (at least one request per window) in a sliding or fixed window of 5-60 s, answers in 0.2-5 s.

    Refusals state when there is room, or always the length of the window.
    """
    source = random.Random(f"held-out {TOLD_WINDOWS} {seed} {index}")

    def spread(low: float, high: float) -> float:
        return math.exp(source.uniform(math.log(low), math.log(high)))

    rate, window_s, mean_latency_s = spread(1, 50), spread(5, 60), spread(0.2, 5)
    limit, phase_s = max(1, round(rate * window_s)), source.uniform(0, window_s)
    tells = AZURE if source.random() < 0.5 else Tells(always_s=window_s, remaining=True)
    traits = Traits(latency=latency_of(0.3 * mean_latency_s, 160 / (0.7 * mean_latency_s)))
    slides = index % 2 == 0
    rate = limit / window_s

    def build(timeline: Timeline, draw: random.Random) -> Sequence[Server]:
        meter = SlidingWindow(limit, window_s) if slides else fixed_window(limit, window_s, phase_s)
        return (Server(timeline, draw, Metered(meter, tells=tells), traits),)

    def ideal_s(requests: Sequence[Request]) -> float:
        return ideals.sustained(requests, lambda _: 1.0, rate, traits.latency)

    return Scenario(build, ideal_s, rate, latency=traits.latency, n=int(min(8000, max(500, rate * 900))))
