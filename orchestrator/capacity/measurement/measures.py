"""The figures of a load test, in the terms of the field. Each definition is next to its figure.

Success is an answer with content and a normal finish. The denominator is every attempted request.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from runners.load.request_result import RequestResult
from runners.load.run_load import LoadRun

from ...results.stats.percentiles import Distribution, distribution, percentile

MINUTE_S = 60.0
WAVES = 3
"""Times the most in flight: so many requests, sent one after another, show a steady state however long the last answer takes."""


@dataclass(frozen=True, slots=True)
class SteadyWindow:
    """The part of a run that is measured, in loop seconds."""

    begin: float
    end: float

    @property
    def length_s(self) -> float:
        """Length of the window, above 0."""
        return max(self.end - self.begin, 1e-9)

    def holds(self, at: float) -> bool:
        """Check whether a loop time lies in the window."""
        return self.begin < at <= self.end


@dataclass(frozen=True, slots=True)
class Measures:
    """The figures of one run at one load."""

    attempted: int
    succeeded: int
    throttled: int
    failures: Mapping[str, int]
    """By error class. Throttled requests are counted separately."""
    finish_reasons: Mapping[str, int]
    window_s: float
    requests_per_s: float
    """Successful requests, over the steady window."""
    output_tokens_per_s: float
    qpm: float
    tpm: float
    """Successful requests, and their input and output tokens, per quota minute: the mean over the steady window."""
    peak_qpm: float
    peak_tpm: float
    """The same in the busiest sliding window of one quota minute; the mean where the run is shorter."""
    is_burst: bool
    """Whether the run was shorter than two quota minutes: stored credit may have carried it."""
    achieved_concurrency: float
    """Sum of latencies over wall time (Little's law)."""
    peak_in_flight: int
    ttft_s: Distribution
    tpot_s: Distribution
    """(latency - TTFT) / (output tokens - 1), for answers of at least two tokens."""
    itl_s: Distribution
    """Gaps between content chunks, pooled. A chunk may contain several tokens."""
    latency_s: Distribution
    scheduled_latency_s: Distribution
    dispatch_delay_s: Distribution
    input_tokens: int
    output_tokens: int
    are_tokens_estimated: bool
    cpu_share: float
    lag_p95_s: float
    first_error: str = ""
    """Message of the first failed request; of a throttled request only where nothing else failed."""

    @property
    def success_rate(self) -> float:
        """Share of the attempted requests that succeeded."""
        return self.succeeded / self.attempted if self.attempted else 0.0

    @property
    def throttled_rate(self) -> float:
        """Share of the attempted requests that were throttled."""
        return self.throttled / self.attempted if self.attempted else 0.0

    def at_rate(self, per_s: float, minute_s: float) -> Measures:
        """Return the same figures with another rate of successful requests, and of their tokens in proportion."""
        tokens, output = (
            amount / max(1, self.succeeded) * per_s
            for amount in (self.input_tokens + self.output_tokens, self.output_tokens)
        )
        return replace(
            self, requests_per_s=per_s, qpm=per_s * minute_s, tpm=tokens * minute_s, output_tokens_per_s=output
        )


@dataclass(frozen=True, slots=True)
class Trim:
    """Seconds that are left out at the start and at the end of a run."""

    warmup_s: float = 0.0
    cooldown_s: float = 0.0


def measure(
    run: LoadRun, *, trim: Trim | None = None, minute_s: float = MINUTE_S, window: SteadyWindow | None = None
) -> Measures:
    """Compute the figures of a run. `minute_s` is the length of a quota minute: 60 s, except on a simulator with scaled time.

    Throughput is measured over `window`, by default the steady one; a quota that delays requests shows only over whole quota windows.
    """
    results = _kept(run, trim or Trim())
    good = [result for result in results if result.how == "ok"]
    window = window or steady_window(run, trim or Trim())
    inside = [result for result in good if window.holds(result.ended_at)]
    return Measures(
        attempted=len(results),
        succeeded=len(good),
        throttled=sum(result.how == "throttled" for result in results),
        failures=_failures(results),
        finish_reasons=dict(Counter(result.finish_reason or "none" for result in good)),
        window_s=window.length_s,
        requests_per_s=len(inside) / window.length_s,
        output_tokens_per_s=sum(result.usage.output_tokens for result in inside if result.usage) / window.length_s,
        qpm=len(inside) / window.length_s * minute_s,
        tpm=sum(map(_tokens, inside)) / window.length_s * minute_s,
        peak_qpm=_busiest(inside, window, minute_s, lambda _result: 1),
        peak_tpm=_busiest(inside, window, minute_s, _tokens),
        is_burst=run.ended_at - run.began_at < 2 * minute_s,
        achieved_concurrency=_concurrency(run),
        peak_in_flight=max((level for _at, level in in_flight_over_time(run.results)), default=0),
        ttft_s=distribution(_known(result.timing.ttft_s for result in good if result.timing)),
        tpot_s=distribution(_known(map(_tpot_s, good))),
        itl_s=distribution([gap for result in good if result.timing for gap in result.timing.chunk_gaps_s]),
        latency_s=distribution(_known(result.latency_s for result in good)),
        scheduled_latency_s=distribution(_known(result.scheduled_latency_s for result in good)),
        dispatch_delay_s=distribution([result.scheduled.delay_s for result in results]),
        input_tokens=sum(result.usage.input_tokens for result in good if result.usage),
        output_tokens=sum(result.usage.output_tokens for result in good if result.usage),
        are_tokens_estimated=any(result.usage.estimated for result in good if result.usage),
        cpu_share=run.cpu_share,
        lag_p95_s=percentile(sorted(run.lags_s), 95) if run.lags_s else 0.0,
        first_error=_first_error(results),
    )


def steady_window(run: LoadRun, trim: Trim) -> SteadyWindow:
    """Return the time from the first dispatch, or the end of the warm-up, to the last dispatch.

    After the last dispatch fewer requests are in flight than the setting requires. Where nearly all were sent at once, it is the whole run.
    """
    begin = run.began_at + trim.warmup_s
    last = max((result.scheduled.dispatched_at for result in run.results), default=run.ended_at)
    end = min(last, run.ended_at - trim.cooldown_s)
    if end - begin > (run.ended_at - run.began_at) / 10:
        return SteadyWindow(begin, end)
    at_once = max((level for _at, level in in_flight_over_time(run.results)), default=0)
    sent = sum(begin <= result.scheduled.dispatched_at <= end for result in run.results)
    return SteadyWindow(begin, end if end > begin and sent >= WAVES * at_once else run.ended_at)


def _concurrency(run: LoadRun) -> float:
    busy_s = sum(result.ended_at - result.scheduled.dispatched_at for result in run.results)
    return busy_s / max(run.ended_at - run.began_at, 1e-9)


def _failures(results: Sequence[RequestResult]) -> dict[str, int]:
    failed = [result for result in results if result.how not in {"ok", "throttled"}]
    return dict(Counter(result.error_class or result.how for result in failed))


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _first_error(results: Sequence[RequestResult]) -> str:
    failed = [result for result in results if result.how not in {"ok", "throttled"}]
    refused = [result for result in results if result.how == "throttled"]
    return next((result.message for result in (*failed, *refused)), "")


def in_flight_over_time(results: Sequence[RequestResult]) -> list[tuple[float, int]]:
    """List the times at which the number of requests in flight changed, with the new number."""
    steps = sorted(
        [(result.scheduled.dispatched_at, 1) for result in results] + [(result.ended_at, -1) for result in results]
    )
    levels = accumulate(step for _at, step in steps)
    return [(at, level) for (at, _step), level in zip(steps, levels, strict=True)]


def _kept(run: LoadRun, trim: Trim) -> list[RequestResult]:
    first, last = run.began_at + trim.warmup_s, run.ended_at - trim.cooldown_s
    return [result for result in run.results if result.scheduled.dispatched_at >= first and result.ended_at <= last]


def _busiest(
    good: Sequence[RequestResult], window: SteadyWindow, minute_s: float, weight: Callable[[RequestResult], int]
) -> float:
    """Return the amount per quota minute in the busiest sliding window; the mean where the run is shorter."""
    ended = sorted((result.ended_at, weight(result)) for result in good)
    if window.length_s <= minute_s:
        return sum(amount for _at, amount in ended) / window.length_s * minute_s
    instants = [at for at, _amount in ended]
    total = [0, *accumulate(amount for _at, amount in ended)]
    return float(
        max((total[i + 1] - total[bisect_right(instants, at - minute_s)] for i, at in enumerate(instants)), default=0)
    )


def _tokens(result: RequestResult) -> int:
    return result.usage.input_tokens + result.usage.output_tokens if result.usage else 0


def _tpot_s(result: RequestResult) -> float | None:
    if result.timing is None or result.timing.ttft_s is None or result.usage is None or result.usage.output_tokens < 2:
        return None
    return result.timing.generation_s / (result.usage.output_tokens - 1)
