"""The families of servers whose limit rises during the run: another tenant leaves, or the limit is doubled.

No ideal uses burst credit. The rise is used once 90 % of the new rate is answered over a span of whole windows.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

from .. import ideals
from ..admission import DippingBucket, Rule
from ..requests import Request
from ..scenario import Build, Rise, Scenario
from ..servers import Server, Traits
from .draws import Source, span_of_use_s
from .rules import Reserved, ReservedWindow

BUSY = (240.0, 360.0)
"""When the other tenant takes its half."""
DOUBLES_AT = 300.0
AFTER_RISE_S = 600.0
MINUTE_S = 60.0
AFTER_WINDOWS = 6
USUAL_TOKENS = 410.0
"""Mean tokens of a request."""


def _one(rule: Callable[[random.Random], Rule], traits: Traits) -> Build:
    return lambda timeline, draw: (Server(timeline, draw, rule(draw), traits),)


def tenant(source: Source, index: int) -> Scenario:
    """Draw a window, or every third time a bucket, of which another tenant takes half for two minutes.

    Ideal: the quota that is left, at a constant rate before, during and after.
    """
    return _rising(source, index, BUSY)


def doubled(source: Source, index: int) -> Scenario:
    """Draw a window, or every third time a bucket, whose limit doubles after five minutes.

    Ideal: each limit at a constant rate.
    """
    return _rising(source, index, (0.0, DOUBLES_AT))


def _rising(source: Source, index: int, halved: tuple[float, float]) -> Scenario:
    """Build an endpoint of which half is missing between two times, with requests for ten minutes after that."""
    window, (traits, _), wait = source.window((12.0, 180.0), multiple=2), source.traits(), source.wait()
    rate, burst_s = window.rate, source.spread(1, 60)
    if index % 3 == 2:
        build = _one(lambda _: DippingBucket(rate, max(1.0, rate * burst_s), halved), traits)
        span_s = 0.0
    else:
        reserved = Reserved(window.limit // 2, halved)
        build = _one(lambda _: ReservedWindow(window.meter(), window.window_s, reserved, wait), traits)
        span_s = window.window_s
    n = rate * (halved[0] + (halved[1] - halved[0]) / 2 + AFTER_RISE_S)
    return Scenario(
        build,
        lambda requests: ideals.dipping(requests, rate, halved, 1.0, lambda request, _: traits.latency(request)),
        rate,
        latency=traits.latency,
        n=math.ceil(n),
        rise=Rise(halved[1], rate, span_of_use_s(rate, span_s), span_s or MINUTE_S),
        truth=f"{window if span_s else f'bucket of {rate:.2f}/s'}, half of it from {halved[0]:.0f} to {halved[1]:.0f} s",
    )


def risen(source: Source, index: int) -> Scenario:
    """Draw a window of 3-60 s of requests, one of tokens, or a bucket, whose limit of 10-600 requests or so doubles after five windows.

    A run goes on for six windows, or two minutes. Ideal: each limit at a constant rate.
    """
    window, (traits, _), wait = source.counted_window(), source.traits(0.2, 2.0), source.wait()
    rate, kind = window.rate, ("requests", "tokens", "bucket")[index % 3]
    halved = (0.0, max(120.0, 5 * window.window_s))
    amount = USUAL_TOKENS if kind == "tokens" else 1.0
    limit = amount * window.limit

    def rule(_: random.Random) -> Rule:
        if kind == "bucket":
            return DippingBucket(rate, max(1.0, rate * window.window_s), halved)
        reserved = Reserved(int(limit) // 2, halved)
        counts = _used if kind == "tokens" else _once
        return ReservedWindow(window.meter(limit), window.window_s, reserved, wait, counts)

    span_s = MINUTE_S if kind == "bucket" else window.window_s
    after_s = max(120.0, AFTER_WINDOWS * span_s)

    def ideal_s(requests: Sequence[Request]) -> float:
        per_request = sum(map(_used, requests)) / len(requests) / amount if kind == "tokens" else 1.0
        return ideals.dipping(requests, rate, halved, per_request, lambda request, _: traits.latency(request))

    return Scenario(
        _one(rule, traits),
        ideal_s,
        rate,
        latency=traits.latency,
        n=math.ceil(rate * (halved[1] / 2 + after_s)),
        rise=Rise(halved[1], rate, span_s * math.ceil(max(20.0, 20 / rate) / span_s), span_s),
        truth=f"{window} ({kind}), half of it until {halved[1]:.0f} s, Retry-After {'none' if kind == 'bucket' else wait}",
    )


def _once(request: Request) -> int:  # noqa: ARG001
    return 1


def _used(request: Request) -> int:
    return request.used
