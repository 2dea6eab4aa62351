"""One load-test setting, run and measured: the setting, the result, and where the time went."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from runners.load.request_result import RequestResult
from runners.load.run_load import ClosedLoop, LoadGenerator, LoadRun, OpenLoop, Target, Volume, run_load

from ...results.stats.percentiles import Distribution, distribution
from ..workload.workload import Workload
from .measures import Measures, SteadyWindow, Trim, in_flight_over_time, measure, steady_window
from .server_metrics import ServerWatch
from .target import OpenTarget

LATE_S = 0.01
"""A dispatch later than this although a worker slot was free is a delay of the client."""
LAG_S = 0.05
BUSY = 0.9
"""Share of a core."""


@dataclass(frozen=True, slots=True)
class LoadSetting:
    """The load, its duration and what is trimmed."""

    load: ClosedLoop | OpenLoop
    volume: Volume
    attempt_s: float
    """Seconds for one request."""
    trim: Trim = field(default_factory=Trim)
    seed: int = 0
    label: str = "bench"
    """Part of the request ids."""

    @property
    def max_concurrency(self) -> int | None:
        """The bound on requests in flight; None where there is none."""
        return self.load.concurrency if isinstance(self.load, ClosedLoop) else self.load.max_concurrency

    @property
    def rate_per_s(self) -> float:
        """The arrival rate; infinite for a closed loop."""
        return self.load.rate_per_s if isinstance(self.load, OpenLoop) else math.inf


@dataclass(frozen=True, slots=True)
class SlotUse:
    """Use of the worker slots over the steady window."""

    mean_in_flight: float
    expected_in_flight: float | None
    """min(limit, rate × mean latency); None where neither bounds it."""
    at_level: Mapping[int, float]
    """Share of the time at each number of requests in flight."""
    waits_ended_by: Mapping[str, int]
    """Why requests were dispatched: their scheduled time came (`arrival`), or another request freed its slot (`place`)."""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Where the time of an answered request went, from its scheduled time to its end; seconds."""

    queue: Distribution
    """Scheduled to dispatched while all worker slots were taken."""
    rate_wait: Distribution
    """Scheduled to dispatched although a slot was free: the delay of the client."""
    connect: Distribution
    first_token: Distribution
    generation: Distribution
    """First to last content; send to end where the answer is not streamed."""
    parsing: Distribution
    """Last content to the end of the call: the rest of the stream, and parsing."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting with its measurements."""

    setting: LoadSetting
    run: LoadRun
    measures: Measures
    slots: SlotUse
    breakdown: Breakdown
    server: ServerWatch

    @property
    def dispatched_per_s(self) -> float | None:
        """Dispatched requests per second, between the first and the last."""
        at = sorted(result.scheduled.dispatched_at for result in self.run.results)
        return (len(at) - 1) / (at[-1] - at[0]) if len(at) > 1 and at[-1] > at[0] else None

    @property
    def client_limits(self) -> list[str]:
        """Reasons why the client limited the figures; empty where it did not."""
        reasons = []
        late = self.breakdown.rate_wait
        late_s = late.p99 if late.p99 is not None else late.most
        if late_s is not None and late_s > LATE_S:
            reasons.append(f"requests left up to {1000 * late_s:.0f} ms late")
        if self.measures.lag_p95_s > LAG_S:
            reasons.append(f"the event loop was {1000 * self.measures.lag_p95_s:.0f} ms late (p95)")
        if self.measures.cpu_share > BUSY:
            reasons.append(f"this process used {100 * self.measures.cpu_share:.0f} % of a core")
        return reasons


@dataclass(slots=True)
class LoadObserver:
    """Callbacks and metrics that observe a load while it runs."""

    server: ServerWatch = field(default_factory=lambda: ServerWatch(None))
    on_start: Callable[[LoadGenerator], None] = lambda _generator: None
    on_result: Callable[[RequestResult], None] = lambda _result: None


async def run_trial(
    target: OpenTarget, workload: Workload, setting: LoadSetting, watch: LoadObserver | None = None
) -> Trial:
    """Send the load and measure it. After a cancellation no request is in flight."""
    watch = watch or LoadObserver()
    aimed = Target(target.instances, target.senders, workload.request, setting.attempt_s)
    load_generator = LoadGenerator(aimed, setting.label, watch.on_result)
    watch.on_start(load_generator)
    async with watch.server.watching():
        run = await run_load(load_generator, setting.load, setting.volume, seed=setting.seed)
    return judge(setting, run, watch.server)


def judge(setting: LoadSetting, run: LoadRun, server: ServerWatch) -> Trial:
    """Measure a finished load."""
    measures = measure(run, trim=setting.trim)
    return Trial(setting, run, measures, _slots(setting, run, measures), _breakdown(run.results), server)


def _slots(setting: LoadSetting, run: LoadRun, measures: Measures) -> SlotUse:
    levels = _time_at_levels(run, steady_window(run, setting.trim))
    total_s = sum(levels.values()) or 1.0
    return SlotUse(
        mean_in_flight=sum(level * held_s for level, held_s in levels.items()) / total_s,
        expected_in_flight=expected_in_flight(setting, measures.latency_s.mean),
        at_level={level: held_s / total_s for level, held_s in sorted(levels.items())},
        waits_ended_by=dict(Counter(result.scheduled.waited_for for result in run.results)),
    )


def expected_in_flight(setting: LoadSetting, mean_latency_s: float | None) -> float | None:
    """Return min(limit, rate × latency), the expected concurrency by Little's law; None where neither bounds it."""
    by_rate = setting.rate_per_s * mean_latency_s if mean_latency_s is not None else math.inf
    expected = min(setting.max_concurrency or math.inf, by_rate)
    return expected if math.isfinite(expected) else None


def _time_at_levels(run: LoadRun, window: SteadyWindow) -> dict[int, float]:
    seconds: dict[int, float] = {}
    since, level = window.begin, 0
    for at, after in [*in_flight_over_time(run.results), (window.end, 0)]:
        upto = min(max(at, window.begin), window.end)
        if upto > since:
            seconds[level] = seconds.get(level, 0.0) + upto - since
        since, level = max(since, upto), after
    return seconds


def _breakdown(results: Sequence[RequestResult]) -> Breakdown:
    timed = [(result, result.timing) for result in results if result.timing is not None]
    delays = [(result, result.scheduled.dispatched_at - result.scheduled.scheduled_at) for result, _timing in timed]
    return Breakdown(
        queue=distribution([delay_s if result.scheduled.waited_for == "place" else 0.0 for result, delay_s in delays]),
        rate_wait=distribution(
            [delay_s if result.scheduled.waited_for == "arrival" else 0.0 for result, delay_s in delays]
        ),
        connect=distribution([timing.connect_s for _result, timing in timed]),
        first_token=distribution([timing.ttft_s for _result, timing in timed if timing.ttft_s is not None]),
        generation=distribution([timing.generation_s for _result, timing in timed]),
        parsing=distribution([rest_s(result) for result, _timing in timed]),
    )


def rest_s(result: RequestResult) -> float:
    """Return the seconds from the last content to the end of the call."""
    if result.timing is None or result.latency_s is None:
        return 0.0
    return max(0.0, result.ended_at - result.scheduled.dispatched_at - result.timing.connect_s - result.latency_s)
