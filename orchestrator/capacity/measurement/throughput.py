"""Throughput and latency at a concurrency by Little's law, each with its interval, and the stragglers.

Throughput is requests in flight over seconds per request, so that neither the start nor the wait for the last answers counts. The requests
are the first n - c dispatched, because the last c may be those that happened to be slow. Where the first c were faster than the others, the
server was filling up and they are left out. An answer that takes more than four times the 90th percentile is a straggler: it is listed. The
search for a limit counts it as if it took just that, so that a few cannot move the limit; the rate that is printed counts its whole time
where more than 1 % are stragglers. After refusals, when workers paused, the requests that were really in flight count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from runners.load.request_result import RequestResult
from runners.load.run_load import ClosedLoop, LoadRun

from ...results.stats.percentiles import percentile

STRAGGLER = 4.0
"""Times the 90th percentile."""
MANY = 0.01
"""Share of the answers from which stragglers count with all their time in the rate that is printed."""
Z = 1.96
"""Of an interval of 95 %."""
FEWEST = 20
"""Requests that a throughput by Little's law is measured from."""
DRAIN = 0.25
"""The longest answers end while the rung drains, when the server is less busy, so that a busy server looks faster: up to twice this, times
the squared variation, times the share of the requests that are in flight at the end (measured on `benchmarks.ladder_truth`)."""
LISTED = 20
"""Stragglers that are listed; the slowest."""


@dataclass(frozen=True, slots=True)
class RungThroughput:
    """Requests per second that succeed at a concurrency."""

    per_s: float
    """As it is printed: with all time of the stragglers where they are more than 1 %."""
    low: float
    high: float
    latency_s: float
    """Mean seconds from send to end of an answer, no more than `STRAGGLER` for each."""
    error: float
    """Relative standard error of the latency, and of the rate that belongs to it."""
    n: int
    """Requests that were measured."""
    stragglers_s: Sequence[float] = ()
    """Seconds of the slowest answers that count as stragglers."""
    stragglers: int = 0
    ttft_s: float | None = None
    """Mean of the streamed answers, without stragglers."""
    bounded_per_s: float | None = None
    """The rate that belongs to the latency, for the search; None where an earlier version measured it."""


def little_throughput(run: LoadRun) -> RungThroughput | None:
    """Measure a closed loop; None where too few requests were sent after the first ones had ended."""
    if not isinstance(run.load, ClosedLoop):
        return None
    concurrency = run.load.concurrency
    ordered = sorted(run.results, key=lambda result: (result.scheduled.dispatched_at, result.scheduled.number))
    sample = ordered[: len(ordered) - concurrency]
    good_s = [_took_s(result) for result in sample if result.how == "ok"]
    if len(sample) < max(FEWEST, concurrency) or len(good_s) < len(sample) / 2:
        return None
    longest_s = straggler_s(good_s)
    bounded = _rate(ordered, sample, concurrency, longest_s)
    slow = sorted((_took_s(result) for result in ordered if _took_s(result) > longest_s), reverse=True)
    printed = _rate(ordered, sample, concurrency, math.inf) if len(slow) > MANY * len(ordered) else bounded
    first_s = _first_tokens_s([result for result in sample if _took_s(result) <= longest_s])
    return RungThroughput(
        printed.per_s,
        printed.per_s / (1 + Z * printed.error),
        printed.per_s * (1 + Z * printed.error),
        bounded.latency_s,
        bounded.error,
        bounded.n,
        tuple(slow[:LISTED]),
        len(slow),
        fmean(first_s) if first_s else None,
        bounded.per_s,
    )


@dataclass(frozen=True, slots=True)
class _Rate:
    per_s: float
    latency_s: float
    error: float
    n: int


def _rate(ordered: Sequence[RequestResult], sample: Sequence[RequestResult], concurrency: int, most_s: float) -> _Rate:
    """Measure the sample; each request takes at most `most_s`."""
    measured = _steady(sample, concurrency, most_s)
    answered_s = [_took_s(result, most_s) for result in measured if result.how == "ok"]
    is_full = all(result.how == "ok" for result in ordered)  # else workers paused
    in_flight = None if is_full else _mean_in_flight(ordered, measured[0].scheduled.dispatched_at, most_s)
    took_s = math.fsum(_took_s(result, most_s) for result in measured)
    drained = DRAIN * variation(answered_s) ** 2 * concurrency / len(ordered)
    return _Rate(
        (in_flight or concurrency) * len(answered_s) / max(took_s, 1e-9),
        fmean(answered_s),
        math.hypot(relative_error(answered_s), drained),
        len(measured),
    )


def straggler_s(seconds: Sequence[float]) -> float:
    """Return the seconds from which an answer is a straggler."""
    return STRAGGLER * percentile(sorted(seconds), 90)


def relative_error(seconds: Sequence[float]) -> float:
    """Return the standard error of the mean, over the mean; more where the answers vary much.

    Then they have a long tail, of which a sample that looks precise enough to stop has often seen too little.
    """
    varies = variation(seconds)
    return varies * (1 + varies / 2) / math.sqrt(len(seconds) - 1) if len(seconds) > 1 else 1.0


def variation(seconds: Sequence[float]) -> float:
    """Return the standard deviation over the mean."""
    mean_s = fmean(seconds) if seconds else 0.0
    return pstdev(seconds) / mean_s if mean_s else 0.0


def _first_tokens_s(results: Sequence[RequestResult]) -> list[float]:
    times = [result.timing.ttft_s for result in results if result.how == "ok" and result.timing is not None]
    return [ttft_s for ttft_s in times if ttft_s is not None]


def _steady(sample: Sequence[RequestResult], concurrency: int, most_s: float) -> Sequence[RequestResult]:
    """Leave out the first requests, one for each in flight, where they are faster than the others beyond doubt."""
    first, rest = sample[:concurrency], sample[concurrency:]
    if concurrency < 2 or len(rest) < FEWEST:
        return sample
    early, late = ([_took_s(result, most_s) for result in part if result.how == "ok"] for part in (first, rest))
    if len(early) < 2 or len(late) < FEWEST:
        return sample
    error = math.hypot(relative_error(early) * fmean(early), relative_error(late) * fmean(late))
    return rest if fmean(early) < fmean(late) - 2 * error else sample


def _mean_in_flight(ordered: Sequence[RequestResult], begin: float, most_s: float) -> float | None:
    """Return the mean number in flight from `begin` to the last send; None if that is no time."""
    end = ordered[-1].scheduled.dispatched_at
    if end - begin < 1e-6:
        return None
    busy_s = 0.0
    for result in ordered:
        sent_at = result.scheduled.dispatched_at
        busy_s += max(0.0, min(sent_at + _took_s(result, most_s), end) - max(sent_at, begin))
    return busy_s / (end - begin)


def _took_s(result: RequestResult, most_s: float = math.inf) -> float:
    return min(result.ended_at - result.scheduled.dispatched_at, most_s)
