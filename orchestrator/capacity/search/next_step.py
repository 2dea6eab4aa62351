"""The next step of a ladder, a pure function of the measured rungs. A resumed ladder continues because it computes the same step.

Increase the concurrency until a rule stops, bisect to where the rule begins to apply, measure the limit once more (an overloaded server may
not have recovered), then hold the recommended value.
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
"""Shares of the limit: minimum, target, maximum."""
STEPS: frozenset[Phase] = frozenset({"climb", "confirm", "bisect"})
"""Phases that are judged against the rungs below them."""
MOST_BISECTIONS = 6
TOLERANCE = 0.05
MOST_REPEATS = 2


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
    """The highest concurrency at which every rule passes, as far as it is known; None where the lowest rung fails."""
    optimum: int | None
    """The lowest concurrency within 3 % of the best throughput."""
    bracket: tuple[int, int] | None
    """The two concurrencies between which the limit lies."""
    recommended: int | None


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
    return _refine(rungs, findings) if plan.refines and findings.limit is not None else None


def _refine(rungs: Sequence[Rung], findings: LadderFindings) -> LadderStep | None:
    bisected = sum(rung.phase == "bisect" for rung in rungs)
    if findings.bracket is not None and bisected < MOST_BISECTIONS:
        low, high = findings.bracket
        if high - low > max(1, round(TOLERANCE * high)):
            return LadderStep((low + high) // 2, "bisect")
    again = [rung for rung in rungs if rung.phase == "again"]
    assert findings.limit is not None
    if (
        findings.stop is not None
        and len(again) < MOST_REPEATS
        and findings.limit not in {rung.concurrency for rung in again}
    ):
        return LadderStep(findings.limit, "again")
    held = [rung.concurrency for rung in rungs if rung.phase == "hold"]
    if findings.recommended is not None and len(held) < MOST_REPEATS and findings.recommended not in held:
        return LadderStep(findings.recommended, "hold")
    return None


def find(rungs: Sequence[Rung], plan: LadderPlan) -> LadderFindings:
    """Judge the rungs and find limit, optimum and bracket; all None without rungs."""
    judged = judge(rungs, plan.rules, plan.minute_s)
    stop = find_stop(rungs, judged)
    pairs = zip(rungs, judged, strict=True)
    valid = [
        (rung, judgement) for rung, judgement in pairs if judgement.verdict not in INVALID and rung.phase != "contrast"
    ]
    usable = [rung for rung, judgement in valid if judgement.verdict not in HARD]
    optimum = find_optimum(usable)
    has_plateau = any(judgement.verdict in {"FAIL-GAIN", "FAIL-QUOTA"} for _rung, judgement in valid)
    ceiling = min((rung.concurrency for rung, judgement in valid if judgement.verdict in HARD), default=None)
    passed = [rung.concurrency for rung, judgement in valid if judgement.verdict == "PASS" and rung.phase in STEPS]
    if has_plateau and optimum is not None and (ceiling is None or optimum < ceiling):
        lower = max((rung.concurrency for rung, _judgement in valid if rung.concurrency < optimum), default=None)
        limit = max((concurrency for concurrency in passed if concurrency <= optimum), default=None)
        bracket = None if lower is None else (lower, optimum)
    else:
        below = [c for c in passed if ceiling is None or c < ceiling]
        limit = max(below, default=None)
        bracket = None if limit is None or ceiling is None else (limit, ceiling)
    limit = _after_repeats(rungs, plan.rules, limit)
    return LadderFindings(judged, stop, limit, optimum, bracket, recommend(limit))


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
    return rung.measures.qpm


def _tpm(rung: Rung) -> float:
    return rung.measures.tpm


def _means(pairs: Sequence[tuple[int, float]]) -> dict[int, float]:
    grouped: dict[int, list[float]] = {}
    for concurrency, value in pairs:
        grouped.setdefault(concurrency, []).append(value)
    return {concurrency: sum(values) / len(values) for concurrency, values in grouped.items()}


def recommend(limit: int | None) -> int | None:
    """Return the integer within 70 to 80 % of the limit that is nearest to 75 %; else the next one below 80 %, at least 1."""
    if limit is None:
        return None
    least, scheduled, most = (share * limit for share in RECOMMENDED)
    near = [number for number in (int(scheduled), int(scheduled) + 1) if least <= number <= most]
    return min(near, key=lambda number: abs(number - scheduled)) if near else max(1, int(most))


def _after_repeats(rungs: Sequence[Rung], rules: Rules, limit: int | None) -> int | None:
    """Lower a limit that failed when it was repeated to the next lower rung that passed."""
    failed = {rung.concurrency for rung in rungs if rung.phase in {"again", "hold"} and fails_by_itself(rung, rules)}
    if limit is None or not failed or min(failed) > limit:
        return limit
    passed = {rung.concurrency for rung in rungs if judge_alone(rung, rules).verdict == "PASS"} - failed
    return max((concurrency for concurrency in passed if concurrency < min(failed)), default=None)


def fails_by_itself(rung: Rung, rules: Rules) -> bool:
    """Check whether the rung fails without comparison. A refusal by a spent quota is no failure of the server."""
    return judge_alone(rung, rules).verdict in HARD
