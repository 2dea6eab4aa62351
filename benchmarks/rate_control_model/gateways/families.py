"""The families of misleading servers, by name. Each function draws one endpoint and says how its ideal time is computed.

No ideal uses burst credit: of a limit per window only the part that has passed since the start may be used.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from providers.simulator.limits.quota import Meter

from .. import ideals
from ..admission import SILENT, Metered, Rule, Tells
from ..quotas import AZURE_WORDS, TRAITS, minute, shared, sliding, two_thousand_tokens
from ..requests import Request, chat, short
from ..scenario import Build, Scenario
from ..servers import Server, Traits, one_quota
from ..timeline import Timeline
from .draws import Source, Window, answers_for
from .rising import doubled, risen, tenant
from .rules import (
    Chance,
    CountsRefused,
    OpenedWindow,
    ParallelRequests,
    ResetAtMinute,
    SeveralCounters,
    concurrency_words,
)
from .short_windows import SHORT_WINDOWS

RPM = (6.0, 600.0)
WORKERS = 16


def _one(rule: Callable[[random.Random], Rule], traits: Traits) -> Build:
    return lambda timeline, draw: (Server(timeline, draw, rule(draw), traits),)


def _at_rate(rate: float, traits: Traits) -> Callable[[Sequence[Request]], float]:
    return lambda requests: ideals.sustained(requests, lambda _: 1.0, rate, traits.latency)


def gateway_conc(source: Source, index: int) -> Scenario:
    """Draw a limit of 1-8 requests in flight that states a wait of 60 s; every second one names the kind of its limit.

    Ideal: the seats are never idle.
    """
    seats = source.random.choice((1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8))
    traits, mean_s = source.traits()
    words = concurrency_words() if index % 2 == 0 else SILENT
    return Scenario(
        _one(lambda _: ParallelRequests(seats, 60.0, words), traits),
        lambda requests: ideals.packed(requests, traits.latency, seats),
        seats / mean_s,
        latency=traits.latency,
        truth=f"{seats} in flight, answers in {mean_s:.2f} s, {'words' if index % 2 == 0 else 'no words'}",
        n=answers_for(seats / mean_s),
    )


def relay(source: Source, index: int) -> Scenario:
    """Draw a limit of requests per window of 3-90 s whose refusals state nothing; every third one is behind two keys.

    Ideal: the limit at a constant rate.
    """
    window, (traits, _) = source.window(RPM), source.traits()
    keys = 2 if index % 3 == 2 else 1

    def build(timeline: Timeline, draw: random.Random) -> Sequence[Server]:
        return one_quota(timeline, draw, Metered(window.meter()), traits, keys)

    return Scenario(
        build,
        _at_rate(window.rate, traits),
        window.rate,
        latency=traits.latency,
        n=window.batch(),
        is_one_model=keys > 1,
        truth=f"{window}, {keys} keys",
    )


def minute_gateway(source: Source, index: int) -> Scenario:  # noqa: ARG001 - all families are drawn alike
    """Draw a window of 3-90 s that the first request opens; a refusal states its whole length.

    Ideal: the limit at a constant rate.
    """
    window, (traits, _) = source.window(RPM), source.traits()
    tells = Tells(always_s=round(window.window_s, 3))
    return Scenario(
        _one(lambda _: Metered(OpenedWindow(window.limit, window.window_s), tells=tells), traits),
        _at_rate(window.rate, traits),
        window.rate,
        latency=traits.latency,
        n=window.batch(),
        truth=f"{window.limit} requests per {window.window_s:.2f} s from the first one",
    )


def minute_tokens(source: Source, index: int) -> Scenario:  # noqa: ARG001 - all families are drawn alike
    """Draw such a window of 300-60,000 tokens per minute that counts a request when it has ended.

    Ideal: every window is overfilled by its last request and no other. Senders that have several requests in flight when a window opens
    may overfill it further, so that their efficiency is above 1.
    """
    per_minute, window_s = source.spread(300, 60_000), source.spread(3, 90)
    limit, (traits, _) = max(1, round(per_minute * window_s / 60)), source.traits()
    ask, mean = (short, 28.0) if per_minute < 6000 else (chat, 410.0)
    tells = Tells(always_s=round(window_s, 3))

    def ideal_s(requests: Sequence[Request]) -> float:
        return ideals.overfilled(requests, lambda request: float(request.used), (limit, window_s), traits.latency)

    per_window = max(1, math.ceil(limit / mean))
    return Scenario(
        _one(lambda _: Metered(None, OpenedWindow(limit, window_s), afterwards=True, tells=tells), traits),
        ideal_s,
        per_window / window_s,
        ask=ask,
        latency=traits.latency,
        n=Window(per_window, window_s, None).batch(),
        truth=f"{limit} tokens per {window_s:.2f} s from the first request, counted at the end",
    )


def chance(source: Source, index: int) -> Scenario:
    """Draw one to four instances without any limit that refuse 1-20 % of all requests at random; 16 workers each.

    Ideal: the same workers are never idle, and a refused request costs a worker only the time of its refusal. How often each request is
    refused is the same for every sender.
    """
    share, wait_s = source.spread(0.01, 0.2), source.random.choice((1.0, 0.2, None))
    instances, (traits, mean_s) = 1 + index % 4, source.traits()
    seed = f"chance {source.random.random()}"

    def build(timeline: Timeline, draw: random.Random) -> Sequence[Server]:
        return one_quota(timeline, draw, Chance(share, wait_s, seed), traits, instances)

    def ideal_s(requests: Sequence[Request]) -> float:
        rule = Chance(share, wait_s, seed)
        refused_s = traits.refuses_in[0]
        return ideals.packed(
            requests,
            lambda request: traits.latency(request) + refused_s * rule.refusals_of(request),
            instances * WORKERS,
        )

    rate = instances * WORKERS / mean_s
    return Scenario(
        build,
        ideal_s,
        rate,
        latency=traits.latency,
        n=int(max(1200, min(9600, 60 * rate))),
        most=WORKERS,
        is_one_model=instances > 1,
        truth=f"{share:.1%} refused at random, Retry-After {wait_s}, {instances} x {WORKERS} workers, answers in {mean_s:.2f} s",
    )


def loose(source: Source, index: int) -> Scenario:
    """Draw a limit in two to four counters, each with its part or each with the whole, or a counter that starts anew at the minute.

    Ideal: the sum of the counters at a constant rate, or as many windows as begin within a minute.
    """
    window, (traits, _), wait = source.window(RPM), source.traits(), source.wait()
    processes, phase_s = source.random.randrange(2, 5), source.random.uniform(0, 60)
    if index % 3 == 2:
        length_s = window.window_s
        rate = window.limit * math.ceil(60 / length_s) / 60
        truth = f"{window.limit} requests per {length_s:.2f} s from the first one, anew at the minute"
        build = _one(
            lambda _: ResetAtMinute(lambda: OpenedWindow(window.limit, length_s), length_s, phase_s, wait), traits
        )
    else:
        divides = index % 3 == 0
        part = max(1, window.limit // processes) if divides else window.limit
        rate = part * processes / window.window_s
        truth = f"{processes} counters of {part} requests each, of {window}"

        def rule(draw: random.Random) -> Rule:
            meters: list[Meter] = [window.meter(part) for _ in range(processes)]
            return SeveralCounters(meters, window.window_s, wait, draw, by_chance=divides)

        build = _one(rule, traits)
    n = Window(max(1, round(rate * window.window_s)), window.window_s, None).batch()
    truth += f", Retry-After {wait}"
    return Scenario(build, _at_rate(rate, traits), rate, latency=traits.latency, n=n, truth=truth)


def counts_refused(source: Source, index: int) -> Scenario:  # noqa: ARG001 - all families are drawn alike
    """Draw a window that counts refused requests, too; half of them slide, so that a client that insists is never admitted.

    Ideal: the limit at a constant rate, without a refusal.
    """
    window, (traits, _), wait = source.window(RPM), source.traits(), source.wait()
    build = _one(lambda _: CountsRefused(window.meter(), window.window_s, wait), traits)
    return Scenario(
        build,
        _at_rate(window.rate, traits),
        window.rate,
        latency=traits.latency,
        n=window.batch(),
        truth=f"{window}, refused ones counted, Retry-After {wait}",
    )


def shared_quota(source: Source, index: int) -> Scenario:
    """Draw one quota of 50,000-400,000 tokens per minute behind three names, in words or without; requests take 2,000 tokens each.

    Ideal: the tokens at a constant rate.
    """
    tokens = 2000 * round(source.spread(25, 200))
    phase_s, slides = source.random.uniform(0, 60), source.random.random() < 0.5
    words = replace(AZURE_WORDS, stated_limit=float(tokens)) if index % 2 == 0 else SILENT

    def meter() -> Meter:
        return sliding(tokens) if slides else minute(phase_s, tokens)

    def ideal_s(requests: Sequence[Request]) -> float:
        return ideals.sustained(requests, lambda request: float(request.used), tokens / 60, TRAITS.latency)

    rate = tokens / 2000 / 60
    return Scenario(
        shared(meter, words),
        ideal_s,
        rate,
        ask=two_thousand_tokens,
        latency=TRAITS.latency,
        n=round(rate * 60 * 12),
        is_one_model=True,
        truth=f"{tokens} tokens per minute, {'sliding' if slides else 'fixed'}, {'in words' if index % 2 == 0 else 'silent'}, three names",
    )


GATEWAYS: dict[str, Callable[[Source, int], Scenario]] = {
    "gateway conc": gateway_conc,
    "relay": relay,
    "minute gateway": minute_gateway,
    "minute tokens": minute_tokens,
    "chance": chance,
    "tenant": tenant,
    "doubled": doubled,
    "risen": risen,
    "loose": loose,
    "counts refused": counts_refused,
    "shared": shared_quota,
    **SHORT_WINDOWS,
}


def gateway(family: str, seed: int, index: int) -> Scenario:
    """Draw an endpoint of a family."""
    return GATEWAYS[family](Source(family, seed, index), index)
