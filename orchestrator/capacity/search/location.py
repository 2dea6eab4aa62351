"""Where the limit lies between the rungs, and which concurrency narrows it most. Four searches, each for one kind of evidence.

- A rung that fails by itself: between the highest that passed and the lowest that failed, always. Where the refusals show a head count N,
  N and 6 % more are tested; else the crossing of the curve, else the middle.
- A kink of the curve: the crossing of line and plateau (`curve.py`), whichever rung the gain rule stopped at.
- Where no rung gains over the lowest, half of the lowest is tested.
- A smooth curve that gains too little: between the last gain that sufficed and the first that did not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...results.stats.intervals import Interval
from ..measurement.rung import Rung
from .curve import KINK, NARROW, ThroughputCurve, curve_of, find_knee
from .rules import HARD, Judgement

HEAD = 1.06
"""A rung this far above a head count must fail."""
SMOOTH = 1.3
"""Two rungs nearer than this factor cannot be told apart by their gain."""

Judged = Sequence[tuple[Rung, Judgement]]


@dataclass(frozen=True, slots=True)
class Location:
    """What the rungs say of the limit so far."""

    limit: int | None
    interval: Interval | None = None
    bracket: tuple[int, int] | None = None
    """The highest concurrency that passed and the lowest that failed."""
    wanted: int | None = None
    """The concurrency to test next."""
    curve: ThroughputCurve | None = None
    knee: ThroughputCurve | None = None
    """The curve, where its kink is the limit."""


def locate(steps: Judged, *, is_stopped: bool, is_climbed: bool) -> Location:
    """Find the limit between the steps of a ladder; the last measurement at a concurrency counts."""
    latest = {rung.concurrency: (rung, judgement) for rung, judgement in steps}
    failed = sorted(c for c, (rung, judgement) in latest.items() if fails_alone(rung, judgement))
    fail = failed[0] if failed else None
    passed = sorted(c for c in latest if c not in failed and (fail is None or c < fail))
    curve = curve_of([rung for rung, judgement in steps if _has_throughput(rung, judgement)])
    if not passed:
        return Location(None, None, None, _below_lowest(latest, fail), curve)
    if not is_stopped and not is_climbed:
        return Location(_highest_gain(latest, passed), None, None, None, curve)
    head = None if fail is None else latest[fail][0].head_count
    is_below_head = head is None or (curve is not None and curve.is_flat and curve.knee < KINK * head)
    if curve is not None and curve.off is not None and is_below_head and curve.is_saturated:
        lowest = curve.points[0].concurrency
        return Location(None, None, None, lowest // 2, curve, curve)
    if curve is not None and curve.off is not None and is_below_head:
        knee = find_knee(curve, fail)
        if knee.limit is not None or knee.step is not None:
            limit = knee.limit if knee.limit is not None else curve.on
            above = [c for c in latest if c >= curve.off]
            return Location(limit, knee.interval, (curve.on or limit or 1, min(above)), knee.step, curve, curve)
    if fail is not None:
        outcome = _between(latest[fail][0], passed, curve)
        is_confirmed = sum(rung.concurrency == fail for rung, _judgement in steps) > 1
        return replace(outcome, wanted=fail) if _is_credit(latest[fail][0]) and not is_confirmed else outcome
    return _by_gain(latest, passed, curve)


def fails_alone(rung: Rung, judgement: Judgement) -> bool:
    """Check whether a rung fails without comparison with others."""
    return judgement.verdict in HARD or (judgement.verdict == "FAIL-QUOTA" and rung.measures.throttled > 0)


def _has_throughput(rung: Rung, judgement: Judgement) -> bool:
    """Whether throughput and latency of the rung are those of a server that took all of its requests."""
    return judgement.verdict != "FAIL-SUCCESS" and not (judgement.verdict == "FAIL-QUOTA" and rung.measures.throttled)


def _below_lowest(latest: dict[int, tuple[Rung, Judgement]], fail: int | None) -> int | None:
    """Return the head count of the lowest rung, where that rung fails."""
    head = None if fail is None else latest[fail][0].head_count
    return head if head is not None and fail is not None and head < fail else None


def _between(failed: Rung, passed: Sequence[int], curve: ThroughputCurve | None) -> Location:
    """Narrow the bracket of the highest rung that passed and the lowest that failed by itself."""
    low, high = passed[-1], failed.concurrency
    head, bracket = failed.head_count, (low, high)
    if (
        head is None
        and failed.measures.is_burst
        and failed.measures.throttled
        and "concurrency" not in failed.throttles
    ):
        return Location(low, Interval(low, high - 1), bracket, None, curve)  # a quota's stored credit is no limit
    above = max((head or low) + 1, math.ceil(HEAD * (head or low)))
    if high - low <= 1 or (high - low <= max(1, round(NARROW * high)) and (head is None or low >= head)):
        return Location(low, Interval(low, max(low, high - 1)), bracket, None, curve)
    knee = None if curve is None else round(curve.knee)
    candidates = [head, above if head is not None and low >= head else None, None if head is not None else knee]
    inside = [c for c in candidates if c is not None and low < c < high]
    wanted = inside[0] if inside else (low + high) // 2
    return Location(low, Interval(low, max(low, high - 1)), bracket, wanted, curve)


def _is_credit(failed: Rung) -> bool:
    """Whether a quota refused within one window: what passed below was its stored credit, so the bracket is not worth narrowing."""
    is_quota = failed.head_count is None and "concurrency" not in failed.throttles
    return is_quota and failed.measures.throttled > 0 and failed.measures.is_burst


def _by_gain(
    latest: dict[int, tuple[Rung, Judgement]], passed: Sequence[int], curve: ThroughputCurve | None
) -> Location:
    """Narrow the bracket of the last gain that sufficed and the first above it that did not."""
    low = _highest_gain(latest, passed)
    if low is None:
        return Location(None, None, None, None, curve)
    flat = [c for c in passed if c > low and latest[c][1].lacks_gain]
    if not flat:
        return Location(low, None, None, None, curve)
    high = flat[0]
    wanted = round(math.sqrt(low * high)) if high / low > SMOOTH and high - low > 1 else None
    return Location(
        low, Interval(low / SMOOTH, high), (low, high), wanted if wanted not in {low, high} else None, curve
    )


def _highest_gain(latest: dict[int, tuple[Rung, Judgement]], passed: Sequence[int]) -> int | None:
    """Return the highest rung that passed, below the first of two in a row that lack gain."""
    good = [c for c in passed if latest[c][1].verdict == "PASS"]
    lacking = [c for c in passed if latest[c][1].lacks_gain and not any(c < other for other in good)]
    return max((c for c in good if not lacking or c < lacking[0]), default=None)
