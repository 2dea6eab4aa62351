"""What a ladder measures next: a pure function of what it has measured. A broken one goes on because it is asked the same again.

Climb until a rule stops, bisect to where it begins to speak, measure the limit once more (a server that was overrun may not have
recovered), then hold the value that is recommended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..measurement.rung import LadderStep, Phase, Rung
from .rules import HARD, INVALID, Judgement, Rules, Stop, find_stop, judge, judge_alone

RUNGS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
PLATEAU = 0.97
"""Share of the best throughput that counts as the best."""
RECOMMENDED = (0.7, 0.75, 0.8)
"""Of the limit: least, aim, most."""
STEPS: frozenset[Phase] = frozenset({"climb", "confirm", "bisect"})
"""Judged against the rungs below them."""
MOST_BISECTIONS = 6
TOLERANCE = 0.05
MOST_REPEATS = 2


@dataclass(frozen=True, slots=True)
class LadderPlan:
    rungs: Sequence[int] = RUNGS
    rules: Rules = field(default_factory=Rules)
    minute_s: float = 60.0
    stops: bool = True
    """Without it every rung is climbed, whatever the rules say."""
    refines: bool = True
    """Bisect, test again and hold."""
    contrasts: bool = False
    """Where it stays open what binds, ask it with requests of other lengths."""

    def times(self, instances: int) -> LadderPlan:
        """As many in flight for each of them."""
        return replace(self, rungs=[instances * one for one in self.rungs])


@dataclass(frozen=True, slots=True)
class LadderFindings:
    """What the rungs so far say."""

    judged: Sequence[Judgement]
    stop: Stop | None
    limit: int | None
    """The highest concurrency at which every rule passes, as far as it is known; None where not even the lowest does."""
    optimum: int | None
    """The lowest concurrency within 3 % of the best throughput."""
    bracket: tuple[int, int] | None
    """Between which two the limit lies."""
    recommended: int | None


def next_step(rungs: Sequence[Rung], plan: LadderPlan) -> LadderStep | None:
    """None at the end, or where the instance is out."""
    if rungs and rungs[-1].gone:
        return None
    found = find(rungs, plan)
    climbed = [one for one in rungs if one.phase == "climb"]
    if len(climbed) < len(plan.rungs) and (found.stop is None or not plan.stops):
        return LadderStep(plan.rungs[len(climbed)], "climb")
    if found.stop is None and found.judged[-1].verdict != "PASS" and rungs[-1].phase == "climb":
        return LadderStep(rungs[-1].concurrency, "confirm")
    return _refine(rungs, found) if plan.refines and found.limit is not None else None


def _refine(rungs: Sequence[Rung], found: LadderFindings) -> LadderStep | None:
    bisected = sum(one.phase == "bisect" for one in rungs)
    if found.bracket is not None and bisected < MOST_BISECTIONS:
        low, high = found.bracket
        if high - low > max(1, round(TOLERANCE * high)):
            return LadderStep((low + high) // 2, "bisect")
    again = [one for one in rungs if one.phase == "again"]
    assert found.limit is not None
    if found.stop is not None and len(again) < MOST_REPEATS and found.limit not in {one.concurrency for one in again}:
        return LadderStep(found.limit, "again")
    held = [one.concurrency for one in rungs if one.phase == "hold"]
    if found.recommended is not None and len(held) < MOST_REPEATS and found.recommended not in held:
        return LadderStep(found.recommended, "hold")
    return None


def find(rungs: Sequence[Rung], plan: LadderPlan) -> LadderFindings:
    """Raises nothing: of no rung there is nothing to say."""
    judged = judge(rungs, plan.rules, plan.minute_s)
    stop = find_stop(rungs, judged)
    pairs = zip(rungs, judged, strict=True)
    valid = [(one, its) for one, its in pairs if its.verdict not in INVALID and one.phase != "contrast"]
    usable = [one for one, its in valid if its.verdict not in HARD]
    optimum = find_optimum(usable)
    has_plateau = any(its.verdict in {"FAIL-GAIN", "FAIL-QUOTA"} for _one, its in valid)
    ceiling = min((one.concurrency for one, its in valid if its.verdict in HARD), default=None)
    passed = [one.concurrency for one, its in valid if its.verdict == "PASS" and one.phase in STEPS]
    if has_plateau and optimum is not None and (ceiling is None or optimum < ceiling):
        lower = max((one.concurrency for one, _its in valid if one.concurrency < optimum), default=None)
        limit = max((one for one in passed if one <= optimum), default=None)
        bracket = None if lower is None else (lower, optimum)
    else:
        below = [c for c in passed if ceiling is None or c < ceiling]
        limit = max(below, default=None)
        bracket = None if limit is None or ceiling is None else (limit, ceiling)
    limit = _after_repeats(rungs, plan.rules, limit)
    return LadderFindings(judged, stop, limit, optimum, bracket, recommend(limit))


def find_optimum(rungs: Sequence[Rung]) -> int | None:
    """The lowest within 3 % of the most requests, or of the most tokens: where lengths vary, one of the two is the steadier.

    Of every concurrency's measurements the mean counts.
    """
    requests, tokens = (_means([(one.concurrency, value(one)) for one in rungs]) for value in (_qpm, _tpm))
    best = [(means, max(means.values(), default=0.0)) for means in (requests, tokens)]
    return min(
        (c for means, most in best for c, mean in means.items() if mean and mean >= PLATEAU * most), default=None
    )


def _qpm(rung: Rung) -> float:
    return rung.measures.qpm


def _tpm(rung: Rung) -> float:
    return rung.measures.tpm


def _means(pairs: Sequence[tuple[int, float]]) -> dict[int, float]:
    grouped: dict[int, list[float]] = {}
    for concurrency, value in pairs:
        grouped.setdefault(concurrency, []).append(value)
    return {concurrency: sum(values) / len(values) for concurrency, values in grouped.items()}


def recommend(limit: int | None) -> int | None:
    """The whole number within 70 to 80 % that is nearest to 75 %; of few, the next one below 80 %, and one at least."""
    if limit is None:
        return None
    least, scheduled, most = (share * limit for share in RECOMMENDED)
    near = [number for number in (int(scheduled), int(scheduled) + 1) if least <= number <= most]
    return min(near, key=lambda number: abs(number - scheduled)) if near else max(1, int(most))


def _after_repeats(rungs: Sequence[Rung], rules: Rules, limit: int | None) -> int | None:
    """A limit that failed when it was tested again is none: the next lower rung that passed is."""
    failed = {one.concurrency for one in rungs if one.phase in {"again", "hold"} and fails_by_itself(one, rules)}
    if limit is None or not failed or min(failed) > limit:
        return limit
    passed = {one.concurrency for one in rungs if judge_alone(one, rules).verdict == "PASS"} - failed
    return max((one for one in passed if one < min(failed)), default=None)


def fails_by_itself(rung: Rung, rules: Rules) -> bool:
    """A quota that is spent refuses at its limit as well: that is no failure of the server."""
    return judge_alone(rung, rules).verdict in HARD
