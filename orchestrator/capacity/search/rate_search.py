"""The smallest concurrency that carries a rate: constant arrivals on the absolute clock, at most so many of them in flight."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from runners.load import OpenLoop

from ..measurement.bench import Bench
from ..measurement.measures import Measures
from ..measurement.rung import LadderStep, Rung
from .next_step import TOLERANCE

REACHED = 0.95
"""Share of the target rate that counts as the rate."""
LATENCIES = 6
"""Latencies that a trial lasts at least: less would measure the filling of an empty pipe."""
FIRST_LOOK = 5
LEAST_GAIN = 1.05


@dataclass(frozen=True, slots=True)
class RateSearch:
    target_qps: float
    trials: Sequence[Rung]
    smallest: int | None
    """None where no concurrency that was tried carries the rate."""
    little: float
    """Rate times latency of one request alone: what it takes at least."""


async def find_concurrency(
    bench: Bench, target_qps: float, rungs: Sequence[int], on_trial: Callable[[Rung], None]
) -> RateSearch:
    """Search upwards from half of what Little's law asks for, then bisect."""
    rung_duration = bench.rung_duration
    bench.rung_duration = replace(rung_duration, duration_s=None, prompts_per_slot=1, min_requests=FIRST_LOOK)
    alone = await bench.measure(LadderStep(1, "climb"))
    latency_s = alone.measures.latency_s.mean or 0.0
    least = max(1, math.ceil(REACHED * target_qps * latency_s / 2))
    trials: list[Rung] = []
    while not alone.gone and (concurrency := next_trial(outcomes(trials, target_qps), least, rungs)) is not None:
        slowest_s = max([latency_s, *(one.measures.latency_s.mean or 0.0 for one in trials)])
        lasts_s = max(rung_duration.duration_s or 0.0, rung_duration.min_requests / target_qps, LATENCIES * slowest_s)
        bench.rung_duration = replace(rung_duration, duration_s=lasts_s)
        await bench.rest(trials[-1] if trials else alone)
        trials.append(
            await bench.measure(
                LadderStep(concurrency, "climb"), OpenLoop(target_qps, math.inf, max_concurrency=concurrency)
            )
        )
        on_trial(trials[-1])
        if trials[-1].gone or _is_in_vain(trials, target_qps):
            break
    reached = [concurrency for concurrency, is_reached in outcomes(trials, target_qps).items() if is_reached]
    return RateSearch(target_qps, trials, min(reached, default=None), target_qps * latency_s)


def outcomes(trials: Sequence[Rung], target_qps: float) -> dict[int, bool]:
    return {one.concurrency: delivered_qps(one.measures) >= REACHED * target_qps for one in trials}


def _is_in_vain(trials: Sequence[Rung], target_qps: float) -> bool:
    """More in flight brought nothing: the server is at its end, and even more would only pile up."""
    if len(trials) < 2 or any(outcomes(trials, target_qps).values()):
        return False
    before, after = (delivered_qps(one.measures) for one in trials[-2:])
    return after < LEAST_GAIN * before


def delivered_qps(measures: Measures) -> float:
    """Successful requests per second of the steady window, without the latency in which the first ones were on their way."""
    filling_s = measures.latency_s.mean or 0.0
    steady_s = measures.window_s - filling_s
    return measures.requests_per_s * measures.window_s / steady_s if steady_s > filling_s else measures.requests_per_s


def next_trial(tried: Mapping[int, bool], least: int, rungs: Sequence[int]) -> int | None:
    """Up until one carries the rate, then between it and the highest that does not."""
    if not tried:
        return min(least, rungs[-1])
    reached = min((concurrency for concurrency, is_reached in tried.items() if is_reached), default=None)
    if reached is None:
        return next((one for one in rungs if one > max(tried)), None)
    missed = max((one for one, is_reached in tried.items() if not is_reached and one < reached), default=0)
    return (missed + reached) // 2 if reached - missed > max(1, round(TOLERANCE * reached)) else None
