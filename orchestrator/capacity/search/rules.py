"""When a ladder stops, as pure functions of what its rungs measured. Every rule can be set; the verdict says which one spoke.

Throughput is judged per doubling of the concurrency, so that a step from 20 to 50 is not asked for less than one from 50 to 100, and a
rung is judged against the last one that passed. A gain that is missing, or a client that is late, counts once a second point says so.
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
"""Spoken by the rung alone: a higher one will not do better."""
INVALID: frozenset[Verdict] = frozenset({"CLIENT-LIMITED", "UNRESOLVED"})
"""Says nothing about the server."""
SMALLEST_STEP = 1.25
"""Times the concurrency: over less, noise is larger than any gain."""


@dataclass(frozen=True, slots=True)
class Rules:
    min_success: float = 0.95
    """Of what was not throttled."""
    max_ttft_s: float = 1.0
    """Mean; of streamed answers."""
    min_gain: float = 0.2
    """Of throughput, per doubling of the concurrency."""
    max_throttled: float = 0.05
    max_kv_usage: float = 0.95
    """Of the server's key-value cache, while requests wait."""
    max_cpu_share: float = 0.9
    """Of a core: what the client used, and what it waited for while others had it."""
    max_lag_s: float = 0.05
    """Of the client's event loop, p95; or a tenth of the mean latency where that is more."""


@dataclass(frozen=True, slots=True)
class Judgement:
    verdict: Verdict
    reason: str = ""
    gain: float | None = None
    """Of requests per minute over the rung below."""
    gain_per_doubling: float | None = None
    """Over the last rung that passed."""
    lacks_gain: bool = False
    """Whatever else the verdict says."""


def judge_alone(rung: Rung, rules: Rules) -> Judgement:
    """The rules that need no other rung; the client's own limits first, for they spoil every other figure."""
    measures = rung.measures
    late_s = max(rules.max_lag_s, 0.1 * (measures.latency_s.mean or 0.0))
    admitted = measures.attempted - measures.throttled
    success = measures.succeeded / admitted if admitted else 0.0
    ttft_s = measures.ttft_s.mean
    if rung.gone or not measures.attempted:
        return Judgement("UNRESOLVED", rung.gone or "nothing was sent")
    if measures.cpu_share + rung.starved_share > rules.max_cpu_share:
        starved = f" and waited for one {rung.starved_share:.0%} of the time" if rung.starved_share >= 0.01 else ""
        return Judgement("CLIENT-LIMITED", f"this client used {measures.cpu_share:.0%} of a core{starved}")
    if measures.lag_p95_s > late_s:
        return Judgement("CLIENT-LIMITED", f"this client's event loop was {1000 * measures.lag_p95_s:.0f} ms late")
    if measures.throttled_rate > rules.max_throttled:
        named = _named(rung)
        return Judgement("FAIL-QUOTA", f"{measures.throttled_rate:.1%} refused with 429{named}")
    if success < rules.min_success:
        return Judgement("FAIL-SUCCESS", f"success {success:.1%} < {rules.min_success:.0%}")
    if ttft_s is not None and ttft_s > rules.max_ttft_s:
        return Judgement("FAIL-TTFT", f"mean TTFT {ttft_s:.3g} s > {rules.max_ttft_s:g} s")
    if rung.server is not None and (rung.server.peak_cache_use_waiting or 0.0) > rules.max_kv_usage:
        full = f"KV cache {rung.server.peak_cache_use_waiting:.0%} full"
        return Judgement("FAIL-RESOURCES", f"{rung.server.peak_waiting:g} requests waiting, {full}")
    return Judgement("PASS")


def judge(rungs: Sequence[Rung], rules: Rules, minute_s: float) -> list[Judgement]:
    """Of every rung, in their order. What holds and what tests again is no step up: it has no gain."""
    judged: list[Judgement] = []
    for index, rung in enumerate(rungs):
        found = judge_alone(rung, rules)
        if rung.phase in {"climb", "confirm", "bisect"} and found.verdict not in INVALID:
            found = _with_gain(found, rung, _below(rungs[:index], judged, rung), rules, minute_s)
        judged.append(found)
    return judged


@dataclass(frozen=True, slots=True)
class _Below:
    previous: Rung | None
    """The next lower one that says anything."""
    passed: Rung | None
    """The highest lower one that passed."""


def _below(rungs: Sequence[Rung], judged: Sequence[Judgement], rung: Rung) -> _Below:
    lower = [
        (one, its)
        for one, its in zip(rungs, judged, strict=True)
        if one.concurrency < rung.concurrency and its.verdict not in INVALID
    ]
    highest = max((one for one, _its in lower), key=lambda one: one.concurrency, default=None)
    passed = max((one for one, its in lower if its.verdict == "PASS"), key=lambda one: one.concurrency, default=None)
    return _Below(highest, passed)


def _with_gain(found: Judgement, rung: Rung, below: _Below, rules: Rules, minute_s: float) -> Judgement:
    gain = None if below.previous is None else gain_over(below.previous, rung)
    if below.passed is None:
        return Judgement(found.verdict, found.reason, gain)
    doubled = gain_per_doubling(below.passed, rung)
    verdict, reason = found.verdict, found.reason
    is_step = rung.concurrency / below.passed.concurrency >= SMALLEST_STEP
    lacks_gain = is_step and doubled is not None and doubled < rules.min_gain
    if lacks_gain and verdict == "PASS":
        lacks = f"{doubled:+.0%} per doubling over {below.passed.concurrency} in flight < {rules.min_gain:.0%}"
        verdict, reason = _name_plateau(rung, lacks, minute_s)
    return Judgement(verdict, reason, gain, doubled, lacks_gain)


def _name_plateau(rung: Rung, lacks: str, minute_s: float) -> tuple[Verdict, str]:
    """Of a quota where anything says so."""
    if rung.measures.throttled:
        return "FAIL-QUOTA", f"{lacks}, with {rung.measures.throttled} refusals{_named(rung)}"
    if rung.is_held(minute_s):
        return "FAIL-QUOTA", f"{lacks}, and what is let in keeps to a quota's window"
    return "FAIL-GAIN", lacks


def gain_over(before: Rung, after: Rung) -> float | None:
    return after.measures.qpm / before.measures.qpm - 1 if before.measures.qpm else None


def gain_per_doubling(before: Rung, after: Rung) -> float | None:
    """The gain that the same elasticity would bring if the concurrency doubled."""
    if not before.measures.qpm or not after.measures.qpm or after.concurrency <= before.concurrency:
        return None
    doublings = math.log2(after.concurrency / before.concurrency)
    return float((after.measures.qpm / before.measures.qpm) ** (1 / doublings)) - 1


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a climb ends, and why."""

    rule: Verdict
    concurrency: int
    reason: str


def find_stop(rungs: Sequence[Rung], judged: Sequence[Judgement]) -> Stop | None:
    """The first rule that spoke for good; None while it may go on. A soft verdict needs a second one right after it."""
    climb = [(one, its) for one, its in zip(rungs, judged, strict=True) if one.phase in {"climb", "confirm"}]
    for index, (rung, found) in enumerate(climb):
        if found.verdict in HARD or _is_throttled(rung, found):
            return Stop(found.verdict, rung.concurrency, found.reason)
        if found.verdict in {"PASS", "UNRESOLVED"} or index + 1 == len(climb):
            continue
        its = climb[index + 1][1]
        if its.lacks_gain if found.lacks_gain else its.verdict == found.verdict:
            return Stop(found.verdict, rung.concurrency, found.reason)
    return None


def _is_throttled(rung: Rung, found: Judgement) -> bool:
    return found.verdict == "FAIL-QUOTA" and rung.measures.throttled > 0


def _named(rung: Rung) -> str:
    named = [unit for unit in rung.throttles if unit != "unsaid"]
    return f" ({', '.join(named)})" if named else ""
