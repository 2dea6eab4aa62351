"""One rung of a ladder: so many requests in flight, what was measured, and what the endpoint said meanwhile."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

from runners.load import LoadRun, Shot

from .measures import Measures

Phase = Literal["climb", "confirm", "bisect", "again", "hold"]
Unit = Literal["requests", "tokens", "concurrency", "unsaid"]

SILENCE = 0.15
"""Share of a quota window without a single completion that separates two bursts."""
PERIOD_TOLERANCE = 0.15


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
class ServerLoad:
    """The worst that a server's own metrics showed."""

    waiting: float
    kv_usage: float
    """Share of the key-value cache in use."""


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
    server: ServerLoad | None = None
    gone: str = ""
    """Why it was broken off."""
    wait_s: float = 0.0
    """What the last refusal asked for, from the rung's end on."""
    cost_usd: float | None = None


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
