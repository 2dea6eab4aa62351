"""The next step of a ladder, a pure function of the measured rungs. A resumed ladder continues because it computes the same step.

Increase the concurrency until a rule stops, narrow the bracket to where the rule begins to apply (`location.py`), measure the limit once
more (an overloaded server may not have recovered), then hold the recommended value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ...results.stats.intervals import Interval
from ..measurement.rung import LadderStep, Phase, Rung
from .curve import ThroughputCurve, Z
from .location import Location, locate
from .rules import HARD, INVALID, Judgement, Rules, Stop, find_stop, judge, judge_alone

RUNGS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
PLATEAU = 0.97
"""Share of the best throughput that counts as the best."""
RECOMMENDED = (0.7, 0.75, 0.8)
"""Shares of the limit: minimum, target, maximum."""
STEPS: frozenset[Phase] = frozenset({"climb", "confirm", "bisect"})
"""Phases that are judged against the rungs below them."""
MOST_BISECTIONS = 8
TOLERANCE = 0.05
MOST_REPEATS = 2
HELD = 0.9
"""Share of the throughput that the curve promises, which a repeated rung must reach."""
FEW = 4
"""A limit below this is too small for a share of it."""


@dataclass(frozen=True, slots=True)
class LadderPlan:
    """The rungs, rules and phases of a ladder."""

    rungs: Sequence[int] = RUNGS
    rules: Rules = field(default_factory=Rules)
    minute_s: float = 60.0
    stops: bool = True
    """Without it every rung is measured, whatever the rules decide."""
    refines: bool = True
    """Bisect, repeat and hold."""
    contrasts: bool = False
    """Where the binding limit stays open, test with requests of other lengths."""

    def times(self, instances: int) -> LadderPlan:
        """Multiply every rung by the number of instances."""
        return replace(self, rungs=[instances * concurrency for concurrency in self.rungs])


@dataclass(frozen=True, slots=True)
class LadderFindings:
    """What follows from the rungs so far."""

    judged: Sequence[Judgement]
    stop: Stop | None
    limit: int | None
    """The highest concurrency at which every rule passes, as far as it is known; None where the lowest rung fails, or no other gains
    over it."""
    optimum: int | None
    """The lowest concurrency within 3 % of the best throughput."""
    bracket: tuple[int, int] | None
    """The highest concurrency that passed and the lowest that failed."""
    recommended: int | None
    wanted: int | None = None
    """The concurrency to test next, to narrow the bracket."""
    interval: Interval | None = None
    """Where the limit lies."""
    knee: ThroughputCurve | None = None
    """The curve, where the limit is its kink."""
    curve: ThroughputCurve | None = None


def next_step(rungs: Sequence[Rung], plan: LadderPlan) -> LadderStep | None:
    """Return the next step; None at the end, or where the instance is lost."""
    if rungs and rungs[-1].gone:
        return None
    findings = find(rungs, plan)
    climb_rungs = [rung for rung in rungs if rung.phase == "climb"]
    if len(climb_rungs) < len(plan.rungs) and (findings.stop is None or not plan.stops):
        return LadderStep(plan.rungs[len(climb_rungs)], "climb")
    if findings.stop is None and findings.judged[-1].verdict != "PASS" and rungs[-1].phase == "climb":
        return LadderStep(rungs[-1].concurrency, "confirm")
    return _refine(rungs, findings) if plan.refines else None


def _refine(rungs: Sequence[Rung], findings: LadderFindings) -> LadderStep | None:
    bisected = sum(rung.phase == "bisect" for rung in rungs)
    if findings.wanted is not None and bisected < MOST_BISECTIONS:
        return LadderStep(findings.wanted, "bisect")
    if findings.limit is None:
        return None
    again = [rung.concurrency for rung in rungs if rung.phase == "again"]
    if len(again) < MOST_REPEATS and findings.limit not in again and _was_before_overload(rungs, findings.limit):
        return LadderStep(findings.limit, "again")
    held = [rung.concurrency for rung in rungs if rung.phase == "hold"]
    if findings.recommended is not None and len(held) < MOST_REPEATS and findings.recommended not in held:
        return LadderStep(findings.recommended, "hold")
    return None


def _was_before_overload(rungs: Sequence[Rung], limit: int) -> bool:
    """Whether the last measurement at the limit came before a higher rung: an overloaded server may not have recovered."""
    at_limit = max((index for index, rung in enumerate(rungs) if rung.concurrency == limit), default=None)
    higher = [index for index, rung in enumerate(rungs) if rung.phase in STEPS and rung.concurrency > limit]
    return at_limit is not None and any(index > at_limit for index in higher)


def find(rungs: Sequence[Rung], plan: LadderPlan) -> LadderFindings:
    """Judge the rungs and find limit, interval, optimum and bracket; all None without rungs."""
    judged = judge(rungs, plan.rules, plan.minute_s)
    stop = find_stop(rungs, judged)
    pairs = list(zip(rungs, judged, strict=True))
    usable = [rung for rung, judgement in pairs if judgement.verdict not in INVALID | HARD and rung.phase != "contrast"]
    steps = [(rung, judgement) for rung, judgement in pairs if rung.phase in STEPS and judgement.verdict not in INVALID]
    outcome = locate(steps, is_stopped=stop is not None, is_climbed=_is_climbed(rungs, plan))
    limit = _after_repeats(rungs, plan.rules, outcome)
    interval = outcome.interval if limit == outcome.limit else None
    return LadderFindings(
        judged,
        stop,
        limit,
        find_optimum(usable),
        outcome.bracket,
        recommend(limit),
        outcome.wanted,
        interval,
        outcome.knee,
        outcome.curve,
    )


def _is_climbed(rungs: Sequence[Rung], plan: LadderPlan) -> bool:
    return sum(rung.phase == "climb" for rung in rungs) >= len(plan.rungs)


def find_optimum(rungs: Sequence[Rung]) -> int | None:
    """Return the lowest concurrency within 3 % of the most requests or tokens: where lengths vary, one of the two is steadier.

    The mean over all measurements at a concurrency counts.
    """
    requests, tokens = (_means([(rung.concurrency, value(rung)) for rung in rungs]) for value in (_qpm, _tpm))
    best = [(means, max(means.values(), default=0.0)) for means in (requests, tokens)]
    return min(
        (c for means, most in best for c, mean in means.items() if mean and mean >= PLATEAU * most), default=None
    )


def _qpm(rung: Rung) -> float:
    return rung.per_s


def _tpm(rung: Rung) -> float:
    return rung.measures.tpm * rung.per_s / (rung.measures.requests_per_s or 1.0)


def _means(pairs: Sequence[tuple[int, float]]) -> dict[int, float]:
    grouped: dict[int, list[float]] = {}
    for concurrency, value in pairs:
        grouped.setdefault(concurrency, []).append(value)
    return {concurrency: sum(values) / len(values) for concurrency, values in grouped.items()}


def recommend(limit: int | None) -> int | None:
    """Return the integer within 70 to 80 % of the limit that is nearest to 75 %; 70 % rounded up where the limit is below 4."""
    if limit is None:
        return None
    least, scheduled, most = (share * limit for share in RECOMMENDED)
    if limit < FEW:
        return math.ceil(least)
    near = [number for number in (int(scheduled), int(scheduled) + 1) if least <= number <= most]
    return min(near, key=lambda number: abs(number - scheduled)) if near else max(1, int(most))


def _after_repeats(rungs: Sequence[Rung], rules: Rules, outcome: Location) -> int | None:
    """Lower a limit that failed when it was repeated to the next lower rung that passed."""
    limit = outcome.limit
    repeats = [rung for rung in rungs if rung.phase in {"again", "hold"}]
    failed = {rung.concurrency for rung in repeats if fails_repeated(rung, rules, outcome.curve)}
    if limit is None or not failed or min(failed) > limit:
        return limit
    passed = {rung.concurrency for rung in rungs if judge_alone(rung, rules).verdict == "PASS"} - failed
    return max((concurrency for concurrency in passed if concurrency < min(failed)), default=None)


def fails_repeated(rung: Rung, rules: Rules, curve: ThroughputCurve | None) -> bool:
    """Check whether a rung that was repeated or held fails: by itself, or by too little throughput for its concurrency.

    A refusal by a spent quota is no failure of the server.
    """
    if judge_alone(rung, rules).verdict in HARD:
        return True
    expected = None if curve is None else curve.expected(rung.concurrency)
    return expected is not None and rung.per_s * (1 + Z * rung.error) < HELD * expected
