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

from runners.load import LoadRun, Shot

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
class Flow:
    """How much what was let in varies from one quota window to the next, by what is counted: standard deviation over mean."""

    requests: float
    tokens: float
    output_tokens: float

    @property
    def is_held_by_tokens(self) -> bool:
        """Input and output together are constant, neither the requests nor the output alone: no processor works like that."""
        return STEADIER * self.tokens < min(self.requests, self.output_tokens)


@dataclass(frozen=True, slots=True)
class LetIn:
    """Per minute, in the window before a quota's first refusal: what the quota allows, or more where it kept credit."""

    requests: float
    tokens: float


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
    flow: Flow | None = None
    server: ServerLoad | None = None
    gone: str = ""
    """Why it was broken off."""
    wait_s: float = 0.0
    """What the last refusal asked for, from the rung's end on."""
    cost_usd: float | None = None
    starved_share: float = 0.0
    """Of the time this client was ready to work and had no core to work on."""
    let_in: LetIn | None = None
    """Where a quota refused."""

    def is_held(self, window_s: float) -> bool:
        """It looks as if a quota held requests back without a word. Means something where throughput no longer grows."""
        follows = self.bursts is not None and self.bursts.follow(window_s)
        return follows or (self.flow is not None and self.flow.is_held_by_tokens)


def name_throttle(shot: Shot) -> Unit:
    """Which limit a refusal was about: its headers where one is used up, else its words."""
    hint, words = shot.hint, shot.message.lower()
    if hint is not None and (hint.remaining_requests == 0) != (hint.remaining_tokens == 0):
        return "requests" if hint.remaining_requests == 0 else "tokens"
    if "concurren" in words or "parallel" in words:
        return "concurrency"
    if "token" in words or "tpm" in words:
        return "tokens"
    if "call rate" in words or "request" in words.replace("too many requests", "").replace("requests to the", ""):
        return "requests"
    return "unsaid"


def count_throttles(shots: Sequence[Shot]) -> dict[Unit, int]:
    return dict(Counter(name_throttle(shot) for shot in shots if shot.how == "throttled"))


def count_let_in(earlier: Sequence[Shot], shots: Sequence[Shot], window_s: float, minute_s: float) -> LetIn | None:
    """By this rung and `earlier` ones; None where no quota of requests or tokens refused."""
    refused = [s.aim.dispatched_at for s in shots if s.how == "throttled" and name_throttle(s) != "concurrency"]
    if not refused:
        return None
    first = min(refused)
    inside = [
        shot
        for shot in (*earlier, *shots)
        if shot.how != "throttled" and first - window_s < shot.aim.dispatched_at <= first
    ]
    return LetIn(len(inside) * minute_s / window_s, sum(map(_tokens, inside)) * minute_s / window_s)


def find_bursts(run: LoadRun, window_s: float) -> Bursts | None:
    """Split the completions at every silence; None where there are not three bursts. The last may be cut off and is left out."""
    good = sorted((shot for shot in run.shots if shot.how == "ok"), key=lambda shot: shot.ended_at)
    least_s = min((shot.latency_s for shot in good if shot.latency_s is not None), default=0.0)
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


def find_flow(run: LoadRun, window_s: float) -> Flow | None:
    """Over every window that ends with a request let in, between the first window and the last send; None of fewer than three windows.

    Let in is when the first token came: a request that is held has not begun.
    """
    if run.ended_at - run.began_at < 3 * window_s:
        return None
    good = sorted((shot for shot in run.shots if shot.how == "ok" and shot.usage is not None), key=_let_in_at)
    instants = [_let_in_at(shot) for shot in good]
    last = max((shot.aim.dispatched_at for shot in run.shots), default=run.ended_at)
    windows = [
        (bisect_right(instants, at - WHOLE * window_s), bisect_right(instants, at))
        for at in instants
        if run.began_at + window_s < at <= last
    ]

    def varies(amount: Callable[[Shot], int]) -> float:
        total = [0, *accumulate(map(amount, good))]
        return _variation([total[end] - total[begin] for begin, end in windows])

    output = varies(lambda shot: shot.usage.output_tokens if shot.usage else 0)
    return Flow(varies(lambda _shot: 1), varies(_tokens), output)


def _let_in_at(shot: Shot) -> float:
    timing = shot.timing
    if timing is None or timing.ttft_s is None:
        return shot.ended_at
    return shot.aim.dispatched_at + timing.connect_s + timing.ttft_s


def _variation(values: Sequence[int]) -> float:
    return pstdev(values) / fmean(values) if values and sum(values) else 0.0


def told_limits(shots: Sequence[Shot]) -> tuple[float | None, float | None]:
    """Requests and tokens per minute, as headers last named them."""
    hints = [shot.hint for shot in shots if shot.hint is not None]
    requests = [hint.limit_requests for hint in hints if hint.limit_requests]
    tokens = [hint.limit_tokens for hint in hints if hint.limit_tokens]
    return (requests[-1] if requests else None), (tokens[-1] if tokens else None)


def wait_asked(run: LoadRun) -> float:
    """Seconds from the end of the run until no refusal asks to wait any longer."""
    asked = [
        shot.ended_at + shot.hint.retry_after_s - run.ended_at
        for shot in run.shots
        if shot.hint is not None and shot.hint.retry_after_s is not None and math.isfinite(shot.hint.retry_after_s)
    ]
    return max(0.0, *asked) if asked else 0.0


def _tokens(shot: Shot) -> int:
    return shot.usage.input_tokens + shot.usage.output_tokens if shot.usage else 0
