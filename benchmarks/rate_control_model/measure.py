"""One run of one controller in one scenario, and its row of figures."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from providers.messages import JSON

from .loop import Controller, Loop
from .scenario import Rise, Scenario

PATIENCE = 6.0
"""A run is stopped after this many times its ideal time; only what was done counts."""
CONVERGED = 0.93
RISE_USED = 0.9
WINDOW_S = 60.0
STEP_S = 5.0

Build = Callable[[int, Scenario, random.Random], Controller]
"""Builds the controller of the i-th instance."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one run."""

    efficiency: float
    refused: float
    """Share of the sends that a limit refused; `refused_by_chance` is the share that was refused whatever was sent before."""
    refused_by_chance: float
    p99_inflation: float
    peak_in_flight: int
    in_flight_median: int
    """Over the time of the second half of the run, at the first instance; so is `in_flight_p95`."""
    in_flight_p95: int
    converged_s: float | None
    makespan_s: float
    sent: int
    failed: int
    done: tuple[int, ...]
    rises: bool
    """Whether the limit rises during the run."""
    rise_used_s: float | None
    """Seconds from the rise until 90 % of the new rate is used; None if it never is."""
    rise_used_windows: float | None
    """The same in windows, or minutes under a bucket."""

    def row(self) -> dict[str, JSON]:
        """Build a flat row."""
        return {
            "efficiency": round(self.efficiency, 4),
            "refused": round(self.refused, 5),
            "refused_by_chance": round(self.refused_by_chance, 5),
            "p99_inflation": round(self.p99_inflation, 3),
            "peak_in_flight": self.peak_in_flight,
            "in_flight_median": self.in_flight_median,
            "in_flight_p95": self.in_flight_p95,
            "converged_s": self.converged_s,
            "makespan_s": round(self.makespan_s, 2),
            "sent": self.sent,
            "failed": self.failed,
            "done": "/".join(map(str, self.done)),
            "rises": self.rises,
            "rise_used_s": self.rise_used_s,
            "rise_used_windows": self.rise_used_windows,
        }


def run_once(
    name: str, scenario: Scenario, build: Build, n: int, seed: int, watch: Callable[[Loop], None] | None = None
) -> Measured:
    """Run one batch under one controller and measure it. `watch` gets the loop with its instances before it starts."""
    n = scenario.n or n
    requests = scenario.ask(n, random.Random(f"{name} {seed} {n}"))
    ideal_s = scenario.ideal_s(requests)
    loop = Loop(requests)
    draw = random.Random(f"server {seed}")
    for index, server in enumerate(scenario.build(loop.timeline, draw)):
        loop.add(server, build(index, scenario, random.Random(f"controller {seed} {index}")))
    if watch is not None:
        watch(loop)
    loop.run(PATIENCE * ideal_s + 600 if scenario.seconds is None else scenario.seconds)
    makespan_s = loop.timeline.now
    unloaded = percentile([scenario.latency(request) for request in requests], 0.99)
    used_s = None if scenario.rise is None else rise_used_s(loop.ended_at, scenario.rise)
    settled = time_at_levels(loop.instances[0].server.levels, makespan_s / 2, makespan_s)
    by_chance = sum(instance.server.refused_by_chance for instance in loop.instances)
    return Measured(
        efficiency=_efficiency(scenario, n, loop, ideal_s),
        refused=max(0, loop.refused - by_chance) / max(1, loop.sent),
        refused_by_chance=by_chance / max(1, loop.sent),
        p99_inflation=percentile(loop.latencies_s, 0.99) / unloaded,
        peak_in_flight=max(instance.server.peak for instance in loop.instances),
        in_flight_median=level_at(settled, 0.5),
        in_flight_p95=level_at(settled, 0.95),
        converged_s=converged_s(loop.ended_at, n / ideal_s),
        makespan_s=makespan_s,
        sent=loop.sent,
        failed=loop.failed,
        done=tuple(instance.done for instance in loop.instances),
        rises=scenario.rise is not None,
        rise_used_s=used_s,
        rise_used_windows=None
        if used_s is None or scenario.rise is None
        else round(used_s / scenario.rise.window_s, 2),
    )


def _efficiency(scenario: Scenario, n: int, loop: Loop, ideal_s: float) -> float:
    """Return the ideal time over the time taken, for what was done; what was answered over the ideal where the time is given."""
    if scenario.seconds is not None:
        return (n - loop.left) / (scenario.rate * scenario.seconds)
    return ideal_s / loop.timeline.now * (1 - loop.left / n)


def percentile(values: Sequence[float], share: float) -> float:
    """Interpolate linearly; nan without values."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (position - low) * (ordered[high] - ordered[low])


def time_at_levels(levels: Sequence[tuple[float, int]], since: float, until: float) -> Mapping[int, float]:
    """Sum the seconds at each level between two times; `levels` are steps in time order."""
    spent: dict[int, float] = {}
    for (began_at, level), (ended_at, _) in zip(levels, [*levels[1:], (until, 0)], strict=True):
        seconds = min(ended_at, until) - max(began_at, since)
        if seconds > 0:
            spent[level] = spent.get(level, 0.0) + seconds
    return spent


def level_at(spent: Mapping[int, float], share: float) -> int:
    """Return the level that is not exceeded for this share of the time."""
    left = share * sum(spent.values())
    for level, seconds in sorted(spent.items()):
        left -= seconds
        if left <= 0:
            return level
    return max(spent, default=0)


def converged_s(ended_at: Sequence[float], rate: float) -> float | None:
    """Return the start of the first minute, on a grid of 5 s, that delivers 93 % of the ideal rate."""
    first = last = 0
    end = WINDOW_S
    while ended_at and end <= ended_at[-1] + STEP_S:
        while last < len(ended_at) and ended_at[last] <= end:
            last += 1
        while ended_at[first] <= end - WINDOW_S and first < last - 1:
            first += 1
        if (last - first) / WINDOW_S >= CONVERGED * rate:
            return end - WINDOW_S
        end += STEP_S
    return None


def rise_used_s(ended_at: Sequence[float], rise: Rise) -> float | None:
    """Return the seconds from the rise to the first span, on a grid of a second, that delivers 90 % of the new rate."""
    start = rise.at
    while ended_at and start + rise.span_s <= ended_at[-1]:
        count = bisect_right(ended_at, start + rise.span_s) - bisect_right(ended_at, start)
        if count >= RISE_USED * rise.rate * rise.span_s:
            return start - rise.at
        start += 1.0
    return None
