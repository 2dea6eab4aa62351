"""One rung of a ladder: a concurrency, what was measured at it, and what the endpoint reported."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import fmean, median, pstdev
from typing import Literal

from runners.load.request_result import RequestResult
from runners.load.run_load import LoadRun

from .admissions import Admissions
from .measures import Measures
from .server_metrics import ServerLoad
from .throughput import RungThroughput

Phase = Literal["climb", "confirm", "bisect", "again", "hold", "contrast"]
Unit = Literal["requests", "tokens", "concurrency", "unsaid"]

SILENCE = 0.15
"""Share of a quota window without any completion that separates two bursts."""
PERIOD_TOLERANCE = 0.15
WHOLE = 0.99
"""Share of a window that is summed up: what enters and what leaves at the two ends never belongs to the same window."""
UNKNOWN_ERROR = 0.5
"""Standard deviation over mean of an answer's time, where it was not kept."""
STEADIER = 2.0
"""The unit that a quota counts varies from window to window by this factor less than any other unit."""


@dataclass(frozen=True, slots=True)
class Bursts:
    """Completions in bursts with pauses between them: the pattern of a quota that delays requests until its window ends."""

    period_s: float
    """Time from the start of one burst to the start of the next."""
    requests: Sequence[int]
    """Requests of each complete burst."""
    tokens: Sequence[int]

    def follow(self, window_s: float) -> bool:
        """Check whether the bursts have the period of the quota window. A saturated server may have bursts of another period."""
        return len(self.requests) >= 2 and abs(self.period_s / window_s - 1) <= PERIOD_TOLERANCE


@dataclass(frozen=True, slots=True)
class QuotaVariation:
    """Variation of the accepted amount from one quota window to the next, by unit: standard deviation over mean."""

    requests: float
    tokens: float
    output_tokens: float

    @property
    def is_held_by_tokens(self) -> bool:
        """Whether input and output tokens together are constant, but neither requests nor output tokens alone, unlike server capacity."""
        return STEADIER * self.tokens < min(self.requests, self.output_tokens)


@dataclass(frozen=True, slots=True)
class AcceptedRate:
    """Accepted amount per minute in the window before a quota's first refusal: the quota, or more where it had stored credit."""

    requests: float
    tokens: float


@dataclass(frozen=True, slots=True)
class LadderStep:
    """One step of the concurrency ladder: its concurrency and the phase that it belongs to."""

    concurrency: int
    phase: Phase


@dataclass(frozen=True, slots=True)
class Rung:
    """The measurement at one concurrency."""

    concurrency: int
    phase: Phase
    measures: Measures
    throttles: Mapping[Unit, int]
    """Refusals by the unit that they name."""
    told_rpm: float | None = None
    told_tpm: float | None = None
    """Limits per minute from response headers."""
    bursts: Bursts | None = None
    flow: QuotaVariation | None = None
    server: ServerLoad | None = None
    gone: str = ""
    """Why the rung was interrupted; empty where it was not."""
    wait_s: float = 0.0
    """Wait that the last refusal asks for, from the end of the rung."""
    cost_usd: float | None = None
    starved_share: float = 0.0
    """Share of the time for which this client was ready to run but had no core."""
    let_in: AcceptedRate | None = None
    """Given where a quota refused."""
    throughput: RungThroughput | None = None
    """By Little's law, with its interval; None where the rung lasted whole windows or a stated time, or too few answered."""
    admissions: Admissions | None = None
    """Given where anything was refused."""

    @property
    def per_s(self) -> float:
        """Successful requests per second for the search: stragglers cannot move it, unlike the rate of the measures, which is printed."""
        bounded = None if self.throughput is None else self.throughput.bounded_per_s
        return self.measures.requests_per_s if bounded is None else bounded

    @property
    def latency_s(self) -> float | None:
        """Mean seconds of an answer, in which a straggler cannot count for much where stragglers are known."""
        return self.measures.latency_s.mean if self.throughput is None else self.throughput.latency_s

    @property
    def ttft_s(self) -> float | None:
        """Mean seconds to the first token, without stragglers where they are known."""
        return self.measures.ttft_s.mean if self.throughput is None else self.throughput.ttft_s

    @property
    def error(self) -> float:
        """Relative standard error of throughput and latency, as far as it is known."""
        if self.throughput is not None:
            return self.throughput.error
        return UNKNOWN_ERROR / math.sqrt(max(1, self.measures.succeeded))

    @property
    def head_count(self) -> int | None:
        """How many requests the server carries at a time, where its refusals show that and do not name an amount per time."""
        named = max(self.throttles, key=lambda unit: self.throttles[unit], default="unsaid")
        return None if self.admissions is None or named in {"requests", "tokens"} else self.admissions.head_count

    def is_held(self, window_s: float) -> bool:
        """Check whether a quota seems to delay requests without a refusal. Meaningful where throughput no longer grows."""
        follows = self.bursts is not None and self.bursts.follow(window_s)
        return follows or (self.flow is not None and self.flow.is_held_by_tokens)


def name_throttle(result: RequestResult) -> Unit:
    """Return the limit that a refusal is about: from its headers where one limit is used up, else from its message."""
    hint, words = result.hint, result.message.lower()
    if hint is not None and (hint.remaining_requests == 0) != (hint.remaining_tokens == 0):
        return "requests" if hint.remaining_requests == 0 else "tokens"
    if "concurren" in words or "parallel" in words:
        return "concurrency"
    if "token" in words or "tpm" in words:
        return "tokens"
    if "call rate" in words or "request" in words.replace("too many requests", "").replace("requests to the", ""):
        return "requests"
    return "unsaid"


def count_throttles(results: Sequence[RequestResult]) -> dict[Unit, int]:
    """Count the refusals by the limit that they name."""
    return dict(Counter(name_throttle(result) for result in results if result.how == "throttled"))


def count_let_in(
    earlier: Sequence[RequestResult], results: Sequence[RequestResult], window_s: float, minute_s: float
) -> AcceptedRate | None:
    """Compute the accepted rate of this rung and `earlier` results; None where no quota of requests or tokens refused."""
    refused = [
        result.scheduled.dispatched_at
        for result in results
        if result.how == "throttled" and name_throttle(result) != "concurrency"
    ]
    if not refused:
        return None
    first = min(refused)
    inside = [
        result
        for result in (*earlier, *results)
        if result.how != "throttled" and first - window_s < result.scheduled.dispatched_at <= first
    ]
    return AcceptedRate(len(inside) * minute_s / window_s, sum(map(_tokens, inside)) * minute_s / window_s)


def find_bursts(run: LoadRun, window_s: float) -> Bursts | None:
    """Split the completions at every pause; None for fewer than three bursts. The last burst may be incomplete and is left out."""
    good = sorted((result for result in run.results if result.how == "ok"), key=lambda result: result.ended_at)
    least_s = min((result.latency_s for result in good if result.latency_s is not None), default=0.0)
    silence_s = max(SILENCE * window_s, 1.5 * least_s)
    starts = [
        index
        for index, (before, after) in enumerate(pairwise(good), start=1)
        if after.ended_at - before.ended_at >= silence_s
    ]
    if len(starts) < 2:
        return None
    whole = [good[begin:end] for begin, end in pairwise([0, *starts])]
    begins = [good[index].ended_at for index in (0, *starts)]
    period_s = median(later - earlier for earlier, later in pairwise(begins))
    return Bursts(period_s, [len(burst) for burst in whole], [sum(map(_tokens, burst)) for burst in whole])


def find_quota_variation(run: LoadRun, window_s: float) -> QuotaVariation | None:
    """Compute the variation over all windows between the first window and the last dispatch; None for fewer than three windows.

    A window ends when a request is accepted, which is when its first token arrives: a delayed request has not begun.
    """
    if run.ended_at - run.began_at < 3 * window_s:
        return None
    good = sorted((result for result in run.results if result.how == "ok" and result.usage is not None), key=_let_in_at)
    instants = [_let_in_at(result) for result in good]
    last = max((result.scheduled.dispatched_at for result in run.results), default=run.ended_at)
    windows = [
        (bisect_right(instants, at - WHOLE * window_s), bisect_right(instants, at))
        for at in instants
        if run.began_at + window_s < at <= last
    ]

    def varies(amount: Callable[[RequestResult], int]) -> float:
        total = [0, *accumulate(map(amount, good))]
        return _variation([total[end] - total[begin] for begin, end in windows])

    output = varies(lambda result: result.usage.output_tokens if result.usage else 0)
    return QuotaVariation(varies(lambda _result: 1), varies(_tokens), output)


def _let_in_at(result: RequestResult) -> float:
    timing = result.timing
    if timing is None or timing.ttft_s is None:
        return result.ended_at
    return result.scheduled.dispatched_at + timing.connect_s + timing.ttft_s


def _variation(values: Sequence[int]) -> float:
    return pstdev(values) / fmean(values) if values and sum(values) else 0.0


def limits_from_headers(results: Sequence[RequestResult]) -> tuple[float | None, float | None]:
    """Return the limits of requests and tokens per minute from the latest headers."""
    hints = [result.hint for result in results if result.hint is not None]
    requests = [hint.limit_requests for hint in hints if hint.limit_requests]
    tokens = [hint.limit_tokens for hint in hints if hint.limit_tokens]
    return (requests[-1] if requests else None), (tokens[-1] if tokens else None)


def requested_wait_s(run: LoadRun) -> float:
    """Return the seconds after the end of the run until every Retry-After has passed."""
    waits_s = [
        result.ended_at + result.hint.retry_after_s - run.ended_at
        for result in run.results
        if result.hint is not None
        and result.hint.retry_after_s is not None
        and math.isfinite(result.hint.retry_after_s)
    ]
    return max(0.0, *waits_s) if waits_s else 0.0


def _tokens(result: RequestResult) -> int:
    return result.usage.input_tokens + result.usage.output_tokens if result.usage else 0
