"""Quota or capacity? Which limit binds, read off refusals, headers and the beat of the answers, and how sure that is.

A refusal with 429 is never a capacity. A quota may also hold requests back without a word: then answers stop dead until its window
ends, and what every window lets through is constant in the quota's own unit, and only in that one. Where nothing of this shows, a
plateau alone cannot tell a held quota from a busy processor. A contrast can: one more rung at the plateau, of requests twice as long
whose answers are half as long. A quota of tokens lets through as many tokens as before, a quota of requests as many requests, and a
busy server neither, for its time goes into the answers; it also writes each of them more slowly, which no quota does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..measurement.rung import STEADIER, LadderStep, QuotaVariation, Rung, Unit
from .next_step import LadderFindings, LadderPlan, find, next_step
from .rules import HARD, INVALID, Judgement

Limit = Literal["TPM", "RPM", "concurrency", "quota", "capacity", "held or saturated", "client", "errors", "none"]
Sureness = Literal["certain", "likely", "open"]
CLOSE = 0.05
"""Of a limit that was told: a plateau as near as this is that limit."""
PLATEAU = 0.93
"""Share of the best throughput that is evidence of the same ceiling; wider than what counts as the best."""
_BY_UNIT: Mapping[Unit, Limit] = {"requests": "RPM", "tokens": "TPM", "concurrency": "concurrency", "unsaid": "quota"}


QUOTAS: frozenset[Limit] = frozenset({"RPM", "TPM", "quota"})
"""What is allowed in a window, and may be stored up."""
OPEN: frozenset[Limit] = frozenset({"quota", "held or saturated"})
"""Verdicts that leave it open what is counted, or whether anything is."""
LEAST_CONTRAST = 1.4
"""Times the tokens that requests of a contrast have at least, to tell anything."""
SHORTER = 0.75
"""Times the output that answers of a contrast have at most, where requests stay the same."""
NEAR = 0.35
"""Of the contrast, in logarithms: as little as this is no change."""
SLOWER = 1.5
"""Times as long for a token as in an empty server, and as the whole latency has grown, in logarithms by half of that: answers that
have begun are slowed down. Less may be this client."""


@dataclass(frozen=True, slots=True)
class StatedLimits:
    """Limits per minute that a person states."""

    rpm: float | None = None
    tpm: float | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    limit: Limit
    sureness: Sureness
    evidence: str
    qpm_ceiling: float | None = None
    tpm_ceiling: float | None = None
    """Of the plateau, or of what was let in before refusals where that is stored credit; None where neither is known."""


def find_binding(rungs: Sequence[Rung], found: LadderFindings, known: StatedLimits, minute_s: float) -> Binding:
    """What stops throughput from growing; the first evidence that speaks, and the contrast where that leaves it open."""
    pairs = [(one, its) for one, its in zip(rungs, found.judged, strict=True) if one.phase != "contrast"]
    plateau = _plateau([one for one, its in pairs if its.verdict not in INVALID and its.verdict != "FAIL-SUCCESS"])
    quota = [one for one, its in pairs if its.verdict == "FAIL-QUOTA"]
    flat = [one for one, its in pairs if its.verdict == "FAIL-GAIN"]
    qpm, tpm = _mean(one.measures.qpm for one in plateau), _mean(one.measures.tpm for one in plateau)
    if quota or flat:
        limit, sureness, evidence = (
            _by_refusals(quota)
            or _by_told_limits(plateau, known, minute_s)
            or _by_flow(plateau)
            or _by_beat(plateau, minute_s)
            or _by_server(flat)
            or _nothing_told(plateau, tpm)
        )
        contrast = [(one, its) for one, its in zip(rungs, found.judged, strict=True) if one.phase == "contrast"]
        if contrast and limit in OPEN:
            limit, sureness, evidence = _by_contrast((pairs[0][0], plateau), *contrast[-1], minute_s) or (
                limit,
                sureness,
                f"{evidence}; the contrast does not tell: {_silence(*contrast[-1])}",
            )
        if limit in QUOTAS and any(one.measures.is_burst for one in plateau):
            qpm, tpm = _let_in(rungs, limit)  # stored credit is no ceiling
        return Binding(limit, sureness, evidence, qpm, tpm)
    if found.stop is None and rungs and rungs[-1].gone:
        return Binding("none", "open", "it was broken off before a rule spoke")
    if found.stop is None:
        return Binding("none", "certain", "no rule has stopped it: the limit lies above what was tested")
    return _by_rule(found)


def _let_in(rungs: Sequence[Rung], limit: Limit) -> tuple[float | None, float | None]:
    """Requests and tokens per minute, of whichever the limit may be about; the least that a refusal followed."""
    seen = [one.let_in for one in rungs if one.let_in is not None and one.phase != "contrast"]
    qpm = None if limit == "TPM" else min((one.requests for one in seen), default=None)
    tpm = None if limit == "RPM" else min((one.tokens for one in seen), default=None)
    return qpm, tpm or None


def doubts(rungs: Sequence[Rung], found: LadderFindings, known: StatedLimits) -> list[str]:
    """Where a limit that a person stated is not what was seen to pass."""
    passed = [one for one, its in zip(rungs, found.judged, strict=True) if its.verdict == "PASS"]
    said = []
    for unit, told, of in (("RPM", known.rpm, "qpm"), ("TPM", known.tpm, "tpm")):
        best = max(passed, key=lambda one: float(getattr(one.measures, of)), default=None)
        if told is None or best is None or (seen := float(getattr(best.measures, of))) <= told * (1 + CLOSE):
            continue
        how = "in bursts" if best.measures.is_burst else f"over {best.measures.window_s:.0f} s"
        said.append(f"you say {told:,.0f} {unit}, seen {seen:,.0f} {how}")
    return said


def contrast_step(rungs: Sequence[Rung], plan: LadderPlan, known: StatedLimits) -> LadderStep | None:
    """The last rung of a ladder: once, where all others leave it open what binds; at the top of the plateau, where it presses most."""
    if not plan.contrasts or not rungs or rungs[-1].gone or any(one.phase == "contrast" for one in rungs):
        return None
    if next_step(rungs, plan) is not None:
        return None
    found = find(rungs, plan)
    if find_binding(rungs, found, known, plan.minute_s).limit not in OPEN:
        return None
    sound = [one for one, its in zip(rungs, found.judged, strict=True) if its.verdict not in INVALID | HARD]
    plateau = _plateau(sound)
    return LadderStep(plateau[-1].concurrency, "contrast") if plateau else None


def _by_contrast(
    measured: tuple[Rung, Sequence[Rung]], contrast: Rung, judged: Judgement, minute_s: float
) -> tuple[Limit, Sureness, str] | None:
    """What stays the same while requests grow longer, against the lowest rung and the plateau; None where that says nothing."""
    lowest, plateau = measured
    same = [one for one in plateau if one.concurrency == contrast.concurrency]
    if not same or judged.verdict in INVALID or judged.verdict == "FAIL-SUCCESS":
        return None
    requests = _ratio(contrast.measures.qpm, _mean(one.measures.qpm for one in same))
    tokens = _ratio(contrast.measures.tpm, _mean(one.measures.tpm for one in same))
    longer = tokens / requests
    if longer < LEAST_CONTRAST:
        return None
    shorter = _ratio(_output_tokens([contrast]), _output_tokens(same))
    slower = _ratio(_token_s(same), _token_s([lowest]))
    saw = (
        f"requests of {longer:.2g} times the tokens and {shorter:.2g} times the output: {requests:.2f} × the requests and "
        f"{tokens:.2f} × the tokens a minute; a token takes {slower:.2g} × what it takes at {lowest.concurrency} in flight"
    )
    grown = _ratio(_mean(one.measures.latency_s.mean or 0.0 for one in same), lowest.measures.latency_s.mean)
    if slower >= max(SLOWER, math.sqrt(grown)):
        return "capacity", "certain", f"{saw}: a busy server, for no quota slows an answer that has begun"
    near, sure = math.log(longer) * NEAR, _sureness([*same, contrast], minute_s)
    if abs(math.log(tokens)) <= near:
        return "TPM", sure, f"{saw}: tokens are what is counted, and held back without a word"
    if abs(math.log(requests)) <= near:
        if shorter > SHORTER:  # answers of the same length take a busy server the same time
            return None
        return "RPM", sure, f"{saw}: requests are what is counted, and held back without a word"
    return "capacity", "likely", f"{saw}: neither stays the same, so the server's own time is spent"


def _sureness(rungs: Sequence[Rung], minute_s: float) -> Sureness:
    """Without the beat of a window it may be a queue before a server that reads longer than it writes."""
    return "certain" if any(one.is_held(minute_s) for one in rungs) else "likely"


def _silence(contrast: Rung, judged: Judgement) -> str:
    if judged.reason:
        return judged.reason
    return f"{contrast.measures.succeeded} answers were of other lengths than asked; --random-output-len must cut them short"


def _by_refusals(quota: Sequence[Rung]) -> tuple[Limit, Sureness, str] | None:
    counts: dict[Unit, int] = {}
    for unit, count in ((unit, count) for one in quota for unit, count in one.throttles.items()):
        counts[unit] = counts.get(unit, 0) + count
    if not counts:
        return None
    unit = max(counts, key=lambda one: (one != "unsaid", counts[one]))
    total = sum(counts.values())
    if unit == "unsaid":
        return "quota", "certain", f"{total} refusals with 429 that do not say which limit"
    return _BY_UNIT[unit], "certain", f"{counts[unit]} of {total} refusals with 429 name {unit}"


def _by_told_limits(
    plateau: Sequence[Rung], known: StatedLimits, minute_s: float
) -> tuple[Limit, Sureness, str] | None:
    """Throughput that ends where a limit was announced: by a person, or by the answers' headers."""
    last = plateau[-1]
    rpm = _mean(one.measures.qpm for one in plateau) or 0.0
    tpm = _mean(one.measures.tpm for one in plateau) or 0.0
    told_rpm, told_tpm = ((told and told * minute_s / 60) for told in (last.told_rpm, last.told_tpm))
    said: tuple[tuple[Limit, float | None, float, str], ...] = (
        ("TPM", known.tpm, tpm, "as given"),
        ("RPM", known.rpm, rpm, "as given"),
        ("TPM", told_tpm, tpm, "as the headers say"),
        ("RPM", told_rpm, rpm, "as the headers say"),
    )
    for limit, told, measured, where in said:
        if told and abs(measured / told - 1) <= CLOSE:
            return limit, "certain", f"plateau at {measured:,.0f} {limit} of {told:,.0f} {where}"
    return None


def _by_beat(plateau: Sequence[Rung], minute_s: float) -> tuple[Limit, Sureness, str] | None:
    """Which unit is constant from window to window, where windows show at all."""
    bursts = [one.bursts for one in plateau if one.bursts is not None and one.bursts.follow(minute_s)]
    if not bursts:
        return None
    beat = f"answers stop dead until a window of {minute_s:g} s ends"
    requests, tokens = (_variation(counts) for counts in ([b.requests for b in bursts], [b.tokens for b in bursts]))
    windows = sum(len(one.requests) for one in bursts)
    varies = f"over {windows} windows requests vary by {requests:.1%} and tokens by {tokens:.1%}"
    if requests > STEADIER * tokens:
        return "TPM", "likely", f"{beat}; {varies}"
    if tokens > STEADIER * requests:
        return "RPM", "likely", f"{beat}; {varies}"
    return "quota", "likely", f"{beat}; {varies}, too alike to tell RPM from TPM: vary the prompts' lengths"


def _by_flow(plateau: Sequence[Rung]) -> tuple[Limit, Sureness, str] | None:
    """Where windows slide there is no beat, but the sum of a window is the same at every moment."""
    flows = [one.flow for one in plateau if one.flow is not None]
    if not flows:
        return None
    pooled = QuotaVariation(
        *(_root_mean_square(values) for values in zip(*(_parts(one) for one in flows), strict=True))
    )
    if not pooled.is_held_by_tokens:
        return None
    return (
        "TPM",
        "likely",
        f"the tokens of every window are the same to {pooled.tokens:.1%}, where its requests vary by {pooled.requests:.1%} "
        f"and its output by {pooled.output_tokens:.1%}: tokens are counted, and held back without a word",
    )


def _parts(flow: QuotaVariation) -> tuple[float, float, float]:
    return flow.requests, flow.tokens, flow.output_tokens


def _root_mean_square(values: Sequence[float]) -> float:
    return math.sqrt(math.fsum(value * value for value in values) / len(values))


def _by_server(flat: Sequence[Rung]) -> tuple[Limit, Sureness, str] | None:
    waiting = max((one.server.peak_waiting or 0.0 for one in flat if one.server is not None), default=0.0)
    return ("capacity", "certain", f"the server's metrics show {waiting:g} requests waiting") if waiting else None


def _nothing_told(plateau: Sequence[Rung], tpm: float | None) -> tuple[Limit, Sureness, str]:
    first, last = plateau[0], plateau[-1]
    grows = _ratio(last.measures.latency_s.mean, first.measures.latency_s.mean)
    evidence = (
        f"plateau at {tpm or 0:,.0f} TPM while latency grows {grows:.1f} × from {first.concurrency} to {last.concurrency} "
        "in flight, no refusal, no silence between windows: a busy server, or a quota that holds evenly; --tpm-limit or "
        "--rpm-limit confirms a quota"
    )
    return "held or saturated", "open", evidence


def _by_rule(found: LadderFindings) -> Binding:
    stop = found.stop
    assert stop is not None
    limits: Mapping[str, Limit] = {"FAIL-SUCCESS": "errors", "CLIENT-LIMITED": "client"}
    return Binding(limits.get(stop.rule, "capacity"), "certain", f"at {stop.concurrency} in flight: {stop.reason}")


def _plateau(rungs: Sequence[Rung]) -> list[Rung]:
    most = max((one.measures.qpm for one in rungs), default=0.0)
    return sorted((one for one in rungs if one.measures.qpm >= PLATEAU * most), key=lambda one: one.concurrency)


def _variation(groups: Sequence[Sequence[float]]) -> float:
    """Pooled over groups, each of its own mean."""
    scaled = [value * len(group) / sum(group) - 1 for group in groups if sum(group) for value in group]
    return math.sqrt(math.fsum(one * one for one in scaled) / len(scaled)) if scaled else 0.0


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None


def _output_tokens(rungs: Sequence[Rung]) -> float | None:
    """Of an answer."""
    return _mean(one.measures.output_tokens / max(1, one.measures.succeeded) for one in rungs)


def _token_s(rungs: Sequence[Rung]) -> float | None:
    """For a token after the first; None where nothing is streamed."""
    return _mean(one.measures.tpot_s.mean for one in rungs if one.measures.tpot_s.mean is not None)


def _ratio(after: float | None, before: float | None) -> float:
    return after / before if after and before else 1.0
