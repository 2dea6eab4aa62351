"""Find the lowest concurrency that carries a rate: constant arrivals on the absolute clock with a bound on requests in flight."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from runners.load.run_load import OpenLoop

from ..measurement.bench import Bench
from ..measurement.measures import Measures
from ..measurement.rung import LadderStep, Rung
from .next_step import TOLERANCE

REACHED = 0.95
"""Share of the target rate that counts as the rate."""
LATENCIES = 6
"""A trial lasts at least this many latencies. A shorter trial would mainly measure the ramp-up."""
FIRST_LOOK = 5
LEAST_GAIN = 1.05


@dataclass(frozen=True, slots=True)
class RateSearch:
    """The trials of a rate search and the concurrency that was found."""

    target_qps: float
    trials: Sequence[Rung]
    smallest: int | None
    """None where no tried concurrency carries the rate."""
    little: float
    """Rate times latency of a single request: the minimum concurrency by Little's law."""


async def find_concurrency(
    bench: Bench, target_qps: float, rungs: Sequence[int], on_trial: Callable[[Rung], None]
) -> RateSearch:
    """Search upwards from half of what Little's law requires, then bisect."""
    rung_duration = bench.rung_duration
    bench.rung_duration = replace(rung_duration, duration_s=None, prompts_per_slot=1, min_requests=FIRST_LOOK)
    alone = await bench.measure(LadderStep(1, "climb"))
    latency_s = alone.measures.latency_s.mean or 0.0
    least = max(1, math.ceil(REACHED * target_qps * latency_s / 2))
    trials: list[Rung] = []
    while not alone.gone and (concurrency := next_trial(outcomes(trials, target_qps), least, rungs)) is not None:
        slowest_s = max([latency_s, *(trial.measures.latency_s.mean or 0.0 for trial in trials)])
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
    """Return for every tried concurrency whether it carried the rate."""
    return {trial.concurrency: delivered_qps(trial.measures) >= REACHED * target_qps for trial in trials}


def _is_in_vain(trials: Sequence[Rung], target_qps: float) -> bool:
    """Check whether a higher concurrency brought no gain, so that the server is saturated and a still higher one would only queue."""
    if len(trials) < 2 or any(outcomes(trials, target_qps).values()):
        return False
    before, after = (delivered_qps(trial.measures) for trial in trials[-2:])
    return after < LEAST_GAIN * before


def delivered_qps(measures: Measures) -> float:
    """Compute successful requests per second of the steady window, without the ramp-up of one mean latency."""
    filling_s = measures.latency_s.mean or 0.0
    steady_s = measures.window_s - filling_s
    return measures.requests_per_s * measures.window_s / steady_s if steady_s > filling_s else measures.requests_per_s


def next_trial(tried: Mapping[int, bool], least: int, rungs: Sequence[int]) -> int | None:
    """Return the next concurrency: upwards until one carries the rate, then between it and the highest that does not."""
    if not tried:
        return min(least, rungs[-1])
    reached = min((concurrency for concurrency, is_reached in tried.items() if is_reached), default=None)
    if reached is None:
        return next((concurrency for concurrency in rungs if concurrency > max(tried)), None)
    missed = max(
        (concurrency for concurrency, is_reached in tried.items() if not is_reached and concurrency < reached),
        default=0,
    )
    return (missed + reached) // 2 if reached - missed > max(1, round(TOLERANCE * reached)) else None
