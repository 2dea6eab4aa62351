"""The rules that stop a ladder, as pure functions of the measured rungs. Every rule can be configured. The verdict names the rule.

Throughput gain is judged per doubling of the concurrency, so that a step from 20 to 50 needs no smaller relative gain than one from 50 to
100. A rung is compared with the last rung that passed. A missing gain or a slow client counts only once a second rung confirms it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..measurement.rung import Rung

Verdict = Literal[
    "PASS",
    "FAIL-SUCCESS",
    "FAIL-TTFT",
    "FAIL-GAIN",
    "FAIL-RESOURCES",
    "FAIL-QUOTA",
    "CLIENT-LIMITED",
    "UNRESOLVED",
]
HARD: frozenset[Verdict] = frozenset({"FAIL-SUCCESS", "FAIL-TTFT", "FAIL-RESOURCES"})
"""Verdicts on a rung by itself. A higher rung will not do better."""
INVALID: frozenset[Verdict] = frozenset({"CLIENT-LIMITED", "UNRESOLVED"})
"""Verdicts without information about the server."""
SMALLEST_STEP = 1.25
"""Minimum factor of the concurrency. Over a smaller step, noise exceeds any gain."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The thresholds of all rules."""

    min_success: float = 0.95
    """Share of the requests that were not throttled."""
    max_ttft_s: float = 1.0
    """Mean; of streamed answers."""
    min_gain: float = 0.2
    """Gain of throughput per doubling of the concurrency."""
    max_throttled: float = 0.05
    max_kv_usage: float = 0.95
    """Use of the server's key-value cache while requests wait."""
    max_cpu_share: float = 0.9
    """Share of a core: what the client used, and what it waited for while others used the core."""
    max_lag_s: float = 0.05
    """Lag of the client's event loop, p95; or a tenth of the mean latency where that is more."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one rung."""

    verdict: Verdict
    reason: str = ""
    gain: float | None = None
    """Gain of requests per minute over the next lower rung."""
    gain_per_doubling: float | None = None
    """Over the last rung that passed."""
    lacks_gain: bool = False
    """Independent of the verdict."""
    is_sure: bool = False
    """Whether the gain is too low beyond the error of both rungs, so that no second one is needed."""


def judge_alone(rung: Rung, rules: Rules) -> Judgement:
    """Apply the rules that need no other rung; the client's own limits first, because they distort every other figure."""
    measures = rung.measures
    late_s = max(rules.max_lag_s, 0.1 * (measures.latency_s.mean or 0.0))
    admitted = measures.attempted - measures.throttled
    success = measures.succeeded / admitted if admitted else 0.0
    ttft_s = rung.ttft_s
    if rung.gone or not measures.attempted:
        return Judgement("UNRESOLVED", rung.gone or "nothing was sent")
    if measures.cpu_share + rung.starved_share > rules.max_cpu_share:
        starved = f" and waited for a core {rung.starved_share:.0%} of the time" if rung.starved_share >= 0.01 else ""
        return Judgement("CLIENT-LIMITED", f"this client used {measures.cpu_share:.0%} of a core{starved}")
    if measures.lag_p95_s > late_s:
        return Judgement("CLIENT-LIMITED", f"this client's event loop was {1000 * measures.lag_p95_s:.0f} ms late")
    crowded = _crowded(rung)
    if measures.throttled_rate > rules.max_throttled or (crowded and measures.throttled):
        refused = f"{measures.throttled_rate:.1%} refused with 429{_named(rung)}{crowded}"
        return Judgement("FAIL-QUOTA", refused)
    if success < rules.min_success or crowded:
        is_low = f"success {success:.1%} < {rules.min_success:.0%}" if success < rules.min_success else "failures"
        return Judgement("FAIL-SUCCESS", f"{is_low}{crowded}")
    if ttft_s is not None and ttft_s > rules.max_ttft_s:
        return Judgement("FAIL-TTFT", f"mean TTFT {ttft_s:.3g} s > {rules.max_ttft_s:g} s")
    if rung.server is not None and (rung.server.peak_cache_use_waiting or 0.0) > rules.max_kv_usage:
        full = f"KV cache {rung.server.peak_cache_use_waiting:.0%} full"
        return Judgement("FAIL-RESOURCES", f"{rung.server.peak_waiting:g} requests waiting, {full}")
    return Judgement("PASS")


def judge(rungs: Sequence[Rung], rules: Rules, minute_s: float) -> list[Judgement]:
    """Judge every rung, in order. Phases that hold or repeat a concurrency are no step up and have no gain."""
    judged: list[Judgement] = []
    for index, rung in enumerate(rungs):
        judgement = judge_alone(rung, rules)
        if rung.phase in {"climb", "confirm", "bisect"} and judgement.verdict not in INVALID:
            judgement = _with_gain(judgement, rung, _below(rungs[:index], judged, rung), rules, minute_s)
        judged.append(judgement)
    return judged


@dataclass(frozen=True, slots=True)
class _Below:
    previous: Rung | None
    """The next lower rung with a verdict on the server."""
    passed: Rung | None
    """The highest lower rung that passed."""


def _below(rungs: Sequence[Rung], judged: Sequence[Judgement], upper: Rung) -> _Below:
    lower = [
        (rung, judgement)
        for rung, judgement in zip(rungs, judged, strict=True)
        if rung.concurrency < upper.concurrency and judgement.verdict not in INVALID
    ]
    highest = max((rung for rung, _judgement in lower), key=lambda rung: rung.concurrency, default=None)
    passed = max(
        (rung for rung, judgement in lower if judgement.verdict == "PASS"),
        key=lambda rung: rung.concurrency,
        default=None,
    )
    return _Below(highest, passed)


def _with_gain(judgement: Judgement, rung: Rung, below: _Below, rules: Rules, minute_s: float) -> Judgement:
    gain = None if below.previous is None else gain_over(below.previous, rung)
    if below.passed is None:
        return Judgement(judgement.verdict, judgement.reason, gain)
    doubled = gain_per_doubling(below.passed, rung)
    verdict, reason = judgement.verdict, judgement.reason
    is_step = rung.concurrency / below.passed.concurrency >= SMALLEST_STEP
    lacks_gain = is_step and doubled is not None and doubled < rules.min_gain
    if lacks_gain and verdict == "PASS":
        lacks = f"{doubled:+.0%} per doubling over {below.passed.concurrency} in flight < {rules.min_gain:.0%}"
        verdict, reason = _name_plateau(rung, lacks, minute_s)
    at_most = gain_at_most(below.passed, rung)
    is_sure = lacks_gain and at_most is not None and at_most < rules.min_gain
    return Judgement(verdict, reason, gain, doubled, lacks_gain, is_sure)


def _name_plateau(rung: Rung, lacks: str, minute_s: float) -> tuple[Verdict, str]:
    """Attribute a plateau to a quota where there is evidence of one."""
    if rung.measures.throttled:
        return "FAIL-QUOTA", f"{lacks}, with {rung.measures.throttled} refusals{_named(rung)}"
    if rung.is_held(minute_s):
        return "FAIL-QUOTA", f"{lacks}, and the accepted requests follow a quota's window"
    return "FAIL-GAIN", lacks


def gain_over(before: Rung, after: Rung) -> float | None:
    """Compute the relative gain of throughput; None where the first rung had none."""
    return after.per_s / before.per_s - 1 if before.per_s else None


def gain_per_doubling(before: Rung, after: Rung) -> float | None:
    """Compute the gain per doubling of the concurrency at constant elasticity."""
    if not before.per_s or not after.per_s or after.concurrency <= before.concurrency:
        return None
    doublings = math.log2(after.concurrency / before.concurrency)
    return float((after.per_s / before.per_s) ** (1 / doublings)) - 1


def gain_at_most(before: Rung, after: Rung) -> float | None:
    """Return the upper end of the gain per doubling at 95 %; None where the error of a rung is unknown."""
    gain = gain_per_doubling(before, after)
    if gain is None or before.throughput is None or after.throughput is None:
        return None
    doublings = math.log2(after.concurrency / before.concurrency)
    slack = 1 + 1.96 * math.hypot(before.error, after.error)
    return float((1 + gain) * slack ** (1 / doublings)) - 1


@dataclass(frozen=True, slots=True)
class Stop:
    """The concurrency at which a ladder stops, and the reason."""

    rule: Verdict
    concurrency: int
    reason: str


def find_stop(rungs: Sequence[Rung], judged: Sequence[Judgement]) -> Stop | None:
    """Return the first final verdict; None while the ladder may continue. A soft verdict that noise may explain needs a second one."""
    steps = [
        (rung, judgement) for rung, judgement in zip(rungs, judged, strict=True) if rung.phase in {"climb", "confirm"}
    ]
    for index, (rung, judgement) in enumerate(steps):
        if judgement.verdict in HARD or _is_throttled(rung, judgement) or (judgement.is_sure and judgement.lacks_gain):
            return Stop(judgement.verdict, rung.concurrency, judgement.reason)
        if judgement.verdict in {"PASS", "UNRESOLVED"} or index + 1 == len(steps):
            continue
        following = steps[index + 1][1]
        if following.lacks_gain if judgement.lacks_gain else following.verdict == judgement.verdict:
            return Stop(judgement.verdict, rung.concurrency, judgement.reason)
    return None


def _is_throttled(rung: Rung, judgement: Judgement) -> bool:
    return judgement.verdict == "FAIL-QUOTA" and rung.measures.throttled > 0


def _crowded(rung: Rung) -> str:
    """Describe that the server never held all requests of the rung at a time, where its refusals show that."""
    if rung.head_count is None or rung.admissions is None or rung.admissions.most_admitted >= rung.concurrency:
        return ""
    return f": it held {rung.head_count} at a time, never {rung.concurrency}"


def _named(rung: Rung) -> str:
    named = [unit for unit in rung.throttles if unit != "unsaid"]
    return f" ({', '.join(named)})" if named else ""
