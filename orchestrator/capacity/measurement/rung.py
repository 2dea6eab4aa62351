"""One rung of a ladder: so many requests in flight, what was measured, and what the endpoint said meanwhile."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import fmean, median, pstdev
from typing import Literal

from runners.load import LoadRun, RequestResult

from .measures import Measures
from .server_metrics import ServerLoad

Phase = Literal["climb", "confirm", "bisect", "again", "hold", "contrast"]
Unit = Literal["requests", "tokens", "concurrency", "unsaid"]

SILENCE = 0.15
"""Share of a quota window without a single completion that separates two bursts."""
PERIOD_TOLERANCE = 0.15
WHOLE = 0.99
"""Of a window is summed up: what goes out and what comes in at its two ends is never in it together."""
STEADIER = 2.0
"""Times less than any other unit a quota's own unit varies from window to window."""


@dataclass(frozen=True, slots=True)
class Bursts:
    """Completions that come in bursts, with silence between: what a quota does that holds requests back until its window ends."""

    period_s: float
    """From the start of one to the start of the next."""
    requests: Sequence[int]
    """Of each whole burst."""
    tokens: Sequence[int]

    def follow(self, window_s: float) -> bool:
        """Whether the quota's window sets the beat. A saturated server may work in waves too, but to a beat of its own."""
        return len(self.requests) >= 2 and abs(self.period_s / window_s - 1) <= PERIOD_TOLERANCE


@dataclass(frozen=True, slots=True)
class QuotaVariation:
    """How much what was let in varies from one quota window to the next, by what is counted: standard deviation over mean."""

    requests: float
    tokens: float
    output_tokens: float

    @property
    def is_held_by_tokens(self) -> bool:
        """Input and output together are constant, neither the requests nor the output alone: no processor works like that."""
        return STEADIER * self.tokens < min(self.requests, self.output_tokens)


@dataclass(frozen=True, slots=True)
class AcceptedRate:
    """Per minute, in the window before a quota's first refusal: what the quota allows, or more where it kept credit."""

    requests: float
    tokens: float


@dataclass(frozen=True, slots=True)
class LadderStep:
    concurrency: int
    phase: Phase


@dataclass(frozen=True, slots=True)
class Rung:
    concurrency: int
    phase: Phase
    measures: Measures
    throttles: Mapping[Unit, int]
    """Refusals by what they named."""
    told_rpm: float | None = None
    told_tpm: float | None = None
    """Limits that headers named, per minute."""
    bursts: Bursts | None = None
    flow: QuotaVariation | None = None
    server: ServerLoad | None = None
    gone: str = ""
    """Why it was broken off."""
    wait_s: float = 0.0
    """What the last refusal asked for, from the rung's end on."""
    cost_usd: float | None = None
    starved_share: float = 0.0
    """Of the time this client was ready to work and had no core to work on."""
    let_in: AcceptedRate | None = None
    """Where a quota refused."""

    def is_held(self, window_s: float) -> bool:
        """It looks as if a quota held requests back without a word. Means something where throughput no longer grows."""
        follows = self.bursts is not None and self.bursts.follow(window_s)
        return follows or (self.flow is not None and self.flow.is_held_by_tokens)


def name_throttle(result: RequestResult) -> Unit:
    """Which limit a refusal was about: its headers where one is used up, else its words."""
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
    return dict(Counter(name_throttle(result) for result in results if result.how == "throttled"))


def count_let_in(
    earlier: Sequence[RequestResult], results: Sequence[RequestResult], window_s: float, minute_s: float
) -> AcceptedRate | None:
    """By this rung and `earlier` ones; None where no quota of requests or tokens refused."""
    refused = [s.scheduled.dispatched_at for s in results if s.how == "throttled" and name_throttle(s) != "concurrency"]
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
    """Split the completions at every silence; None where there are not three bursts. The last may be cut off and is left out."""
    good = sorted((result for result in run.results if result.how == "ok"), key=lambda result: result.ended_at)
    least_s = min((result.latency_s for result in good if result.latency_s is not None), default=0.0)
    silence_s = max(SILENCE * window_s, 1.5 * least_s)
    starts = [
        index for index, (one, two) in enumerate(pairwise(good), start=1) if two.ended_at - one.ended_at >= silence_s
    ]
    if len(starts) < 2:
        return None
    whole = [good[begin:end] for begin, end in pairwise([0, *starts])]
    begins = [good[index].ended_at for index in (0, *starts)]
    period_s = median(later - earlier for earlier, later in pairwise(begins))
    return Bursts(period_s, [len(burst) for burst in whole], [sum(map(_tokens, burst)) for burst in whole])


def find_quota_variation(run: LoadRun, window_s: float) -> QuotaVariation | None:
    """Over every window that ends with a request let in, between the first window and the last send; None of fewer than three windows.

    Let in is when the first token came: a request that is held has not begun.
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
    return QuotaVariation(varies(lambda _shot: 1), varies(_tokens), output)


def _let_in_at(result: RequestResult) -> float:
    timing = result.timing
    if timing is None or timing.ttft_s is None:
        return result.ended_at
    return result.scheduled.dispatched_at + timing.connect_s + timing.ttft_s


def _variation(values: Sequence[int]) -> float:
    return pstdev(values) / fmean(values) if values and sum(values) else 0.0


def told_limits(results: Sequence[RequestResult]) -> tuple[float | None, float | None]:
    """Requests and tokens per minute, as headers last named them."""
    hints = [result.hint for result in results if result.hint is not None]
    requests = [hint.limit_requests for hint in hints if hint.limit_requests]
    tokens = [hint.limit_tokens for hint in hints if hint.limit_tokens]
    return (requests[-1] if requests else None), (tokens[-1] if tokens else None)


def wait_asked(run: LoadRun) -> float:
    """Seconds from the end of the run until no refusal asks to wait any longer."""
    asked = [
        result.ended_at + result.hint.retry_after_s - run.ended_at
        for result in run.results
        if result.hint is not None
        and result.hint.retry_after_s is not None
        and math.isfinite(result.hint.retry_after_s)
    ]
    return max(0.0, *asked) if asked else 0.0


def _tokens(result: RequestResult) -> int:
    return result.usage.input_tokens + result.usage.output_tokens if result.usage else 0
