"""Find the limit that binds, a quota or capacity, from refusals, headers and the timing of answers, and how certain that is.

A refusal with 429 always means a quota. A quota may also delay requests without a refusal. Then answers stop until its window ends, and the
accepted amount of every window is constant in the quota's own unit, and only in that unit. Without these signs a plateau alone cannot
distinguish a delaying quota from a busy server. A contrast can: one more rung at the plateau, with requests twice as long and answers half
as long. A token quota accepts as many tokens as before, and a request quota as many requests. A busy server does neither, because its time
goes into the answers; it also generates each answer more slowly, which no quota does.
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
LimitEvidence = tuple[Limit, Sureness, str]
CLOSE = 0.05
"""A plateau this close to a stated limit is that limit."""
PLATEAU = 0.93
"""Share of the best throughput that is evidence of the same ceiling; wider than the share that counts as the best."""
_BY_UNIT: Mapping[Unit, Limit] = {"requests": "RPM", "tokens": "TPM", "concurrency": "concurrency", "unsaid": "quota"}


QUOTAS: frozenset[Limit] = frozenset({"RPM", "TPM", "quota"})
"""Limits on the amount per window, which may be stored as credit."""
OPEN: frozenset[Limit] = frozenset({"quota", "held or saturated"})
"""Verdicts that leave open which unit is counted, or whether a quota exists."""
LEAST_CONTRAST = 1.4
"""A contrast is meaningful from this factor of tokens per request."""
SHORTER = 0.75
"""Maximum factor of output per answer in a contrast, where requests stay the same."""
NEAR = 0.35
"""A change below this share of the contrast, in logarithms, counts as no change."""
SLOWER = 1.5
"""Minimum factor of time per token that shows a busy server; also at least the root of the factor of latency, to exclude this client."""


@dataclass(frozen=True, slots=True)
class StatedLimits:
    """Limits per minute that the user states."""

    rpm: float | None = None
    tpm: float | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """The limit that binds, its certainty and the evidence."""

    limit: Limit
    sureness: Sureness
    evidence: str
    qpm_ceiling: float | None = None
    tpm_ceiling: float | None = None
    """Ceiling at the plateau, or the rate accepted before refusals where the plateau is stored credit; None where neither is known."""


def find_binding(rungs: Sequence[Rung], findings: LadderFindings, known: StatedLimits, minute_s: float) -> Binding:
    """Find what stops throughput from growing: the first evidence that decides, and the contrast where the evidence leaves it open."""
    judged = list(zip(rungs, findings.judged, strict=True))
    pairs = [(rung, judgement) for rung, judgement in judged if rung.phase != "contrast"]
    plateau = _plateau([rung for rung, judgement in pairs if judgement.verdict not in INVALID | {"FAIL-SUCCESS"}])
    quota = [rung for rung, judgement in pairs if judgement.verdict == "FAIL-QUOTA"]
    flat = [rung for rung, judgement in pairs if judgement.verdict == "FAIL-GAIN"]
    qpm, tpm = _mean(rung.measures.qpm for rung in plateau), _mean(rung.measures.tpm for rung in plateau)
    if quota or flat:
        limit, sureness, evidence = (
            _by_refusals(quota)
            or _by_stated_limits(plateau, known, minute_s)
            or _by_flow(plateau)
            or _by_beat(plateau, minute_s)
            or _by_server(flat)
            or _undecided(plateau, tpm)
        )
        contrast = [(rung, judgement) for rung, judgement in judged if rung.phase == "contrast"]
        if contrast and limit in OPEN:
            limit, sureness, evidence = _by_contrast((pairs[0][0], plateau), *contrast[-1], minute_s) or (
                limit,
                sureness,
                f"{evidence}; the contrast is not decisive: {_why_undecided(*contrast[-1])}",
            )
        if limit in QUOTAS and any(rung.measures.is_burst for rung in plateau):
            qpm, tpm = _let_in(rungs, limit)  # stored credit is no ceiling
        return Binding(limit, sureness, evidence, qpm, tpm)
    if findings.stop is None and rungs and rungs[-1].gone:
        return Binding("none", "open", "it was interrupted before a rule stopped it")
    if findings.stop is None:
        return Binding("none", "certain", "no rule stopped it: the limit is above the tested concurrencies")
    return _by_rule(findings)


def _let_in(rungs: Sequence[Rung], limit: Limit) -> tuple[float | None, float | None]:
    """Return the lowest accepted rates of requests and tokens per minute, for the units that the limit may count."""
    rates = [rung.let_in for rung in rungs if rung.let_in is not None and rung.phase != "contrast"]
    qpm = None if limit == "TPM" else min((rate.requests for rate in rates), default=None)
    tpm = None if limit == "RPM" else min((rate.tokens for rate in rates), default=None)
    return qpm, tpm or None


def doubts(rungs: Sequence[Rung], findings: LadderFindings, known: StatedLimits) -> list[str]:
    """List the stated limits that contradict the measured throughput."""
    passed = [rung for rung, judgement in zip(rungs, findings.judged, strict=True) if judgement.verdict == "PASS"]
    statements = []
    for unit, stated, figure in (("RPM", known.rpm, "qpm"), ("TPM", known.tpm, "tpm")):
        best = max(passed, key=lambda rung: float(getattr(rung.measures, figure)), default=None)
        if stated is None or best is None or (seen := float(getattr(best.measures, figure))) <= stated * (1 + CLOSE):
            continue
        how = "in bursts" if best.measures.is_burst else f"over {best.measures.window_s:.0f} s"
        statements.append(f"stated limit {stated:,.0f} {unit}, measured {seen:,.0f} {how}")
    return statements


def contrast_step(rungs: Sequence[Rung], plan: LadderPlan, known: StatedLimits) -> LadderStep | None:
    """Return the contrast, the last rung of a ladder: once, where the other rungs leave the limit open, at the top of the plateau."""
    if not plan.contrasts or not rungs or rungs[-1].gone or any(rung.phase == "contrast" for rung in rungs):
        return None
    if next_step(rungs, plan) is not None:
        return None
    findings = find(rungs, plan)
    if find_binding(rungs, findings, known, plan.minute_s).limit not in OPEN:
        return None
    valid = [
        rung for rung, judgement in zip(rungs, findings.judged, strict=True) if judgement.verdict not in INVALID | HARD
    ]
    plateau = _plateau(valid)
    return LadderStep(plateau[-1].concurrency, "contrast") if plateau else None


def _by_contrast(
    measured: tuple[Rung, Sequence[Rung]], contrast: Rung, judged: Judgement, minute_s: float
) -> LimitEvidence | None:
    """Find the unit that stays constant when requests grow, against the lowest rung and the plateau; None without a decision."""
    lowest, plateau = measured
    same = [rung for rung in plateau if rung.concurrency == contrast.concurrency]
    if not same or judged.verdict in INVALID or judged.verdict == "FAIL-SUCCESS":
        return None
    requests = _ratio(contrast.measures.qpm, _mean(rung.measures.qpm for rung in same))
    tokens = _ratio(contrast.measures.tpm, _mean(rung.measures.tpm for rung in same))
    longer = tokens / requests
    if longer < LEAST_CONTRAST:
        return None
    shorter = _ratio(_output_tokens([contrast]), _output_tokens(same))
    slower = _ratio(_token_s(same), _token_s([lowest]))
    saw = (
        f"requests of {longer:.2g} times the tokens and {shorter:.2g} times the output: {requests:.2f} × the requests and "
        f"{tokens:.2f} × the tokens a minute; a token takes {slower:.2g} × what it takes at {lowest.concurrency} in flight"
    )
    grown = _ratio(_mean(rung.measures.latency_s.mean or 0.0 for rung in same), lowest.measures.latency_s.mean)
    if slower >= max(SLOWER, math.sqrt(grown)):
        return "capacity", "certain", f"{saw}: a busy server, because no quota slows an answer that has begun"
    near, sure = math.log(longer) * NEAR, _sureness([*same, contrast], minute_s)
    if abs(math.log(tokens)) <= near:
        return "TPM", sure, f"{saw}: a token quota that delays requests without a refusal"
    if abs(math.log(requests)) <= near:
        if shorter > SHORTER:  # answers of the same length take a busy server the same time
            return None
        return "RPM", sure, f"{saw}: a request quota that delays requests without a refusal"
    return "capacity", "likely", f"{saw}: neither stays the same, so the server's time is the limit"


def _sureness(rungs: Sequence[Rung], minute_s: float) -> Sureness:
    """Return "certain" only where a quota window is visible: else a queue before a server may explain it."""
    return "certain" if any(rung.is_held(minute_s) for rung in rungs) else "likely"


def _why_undecided(contrast: Rung, judged: Judgement) -> str:
    if judged.reason:
        return judged.reason
    return (
        f"{contrast.measures.succeeded} answers had other lengths than requested; --random-output-len must limit them"
    )


def _by_refusals(quota: Sequence[Rung]) -> LimitEvidence | None:
    counts: dict[Unit, int] = {}
    for unit, count in ((unit, count) for rung in quota for unit, count in rung.throttles.items()):
        counts[unit] = counts.get(unit, 0) + count
    if not counts:
        return None
    unit = max(counts, key=lambda name: (name != "unsaid", counts[name]))
    total = sum(counts.values())
    if unit == "unsaid":
        return "quota", "certain", f"{total} refusals with 429 that do not name a limit"
    return _BY_UNIT[unit], "certain", f"{counts[unit]} of {total} refusals with 429 name {unit}"


def _by_stated_limits(plateau: Sequence[Rung], known: StatedLimits, minute_s: float) -> LimitEvidence | None:
    """Compare the plateau with the limits that the user or the headers state."""
    last = plateau[-1]
    rpm = _mean(rung.measures.qpm for rung in plateau) or 0.0
    tpm = _mean(rung.measures.tpm for rung in plateau) or 0.0
    header_rpm, header_tpm = ((limit and limit * minute_s / 60) for limit in (last.told_rpm, last.told_tpm))
    candidates: tuple[tuple[Limit, float | None, float, str], ...] = (
        ("TPM", known.tpm, tpm, "as stated"),
        ("RPM", known.rpm, rpm, "as stated"),
        ("TPM", header_tpm, tpm, "from the headers"),
        ("RPM", header_rpm, rpm, "from the headers"),
    )
    for limit, stated, measured, where in candidates:
        if stated and abs(measured / stated - 1) <= CLOSE:
            return limit, "certain", f"plateau at {measured:,.0f} {limit} of {stated:,.0f} {where}"
    return None


def _by_beat(plateau: Sequence[Rung], minute_s: float) -> LimitEvidence | None:
    """Find the unit that is constant from window to window, where windows are visible."""
    bursts = [rung.bursts for rung in plateau if rung.bursts is not None and rung.bursts.follow(minute_s)]
    if not bursts:
        return None
    beat = f"answers stop until a window of {minute_s:g} s ends"
    requests, tokens = (_variation(counts) for counts in ([b.requests for b in bursts], [b.tokens for b in bursts]))
    windows = sum(len(burst.requests) for burst in bursts)
    varies = f"over {windows} windows requests vary by {requests:.1%} and tokens by {tokens:.1%}"
    if requests > STEADIER * tokens:
        return "TPM", "likely", f"{beat}; {varies}"
    if tokens > STEADIER * requests:
        return "RPM", "likely", f"{beat}; {varies}"
    return "quota", "likely", f"{beat}; {varies}, too similar to distinguish RPM from TPM: vary the prompts' lengths"


def _by_flow(plateau: Sequence[Rung]) -> LimitEvidence | None:
    """Find a token quota with sliding windows: there are no bursts, but the sum of a window is constant at every time."""
    flows = [rung.flow for rung in plateau if rung.flow is not None]
    if not flows:
        return None
    figures = ((flow.requests, flow.tokens, flow.output_tokens) for flow in flows)
    pooled = QuotaVariation(*(_root_mean_square(values) for values in zip(*figures, strict=True)))
    if not pooled.is_held_by_tokens:
        return None
    return (
        "TPM",
        "likely",
        f"the tokens of every window are the same to {pooled.tokens:.1%}, where its requests vary by {pooled.requests:.1%} "
        f"and its output by {pooled.output_tokens:.1%}: a token quota that delays requests without a refusal",
    )


def _root_mean_square(values: Sequence[float]) -> float:
    return math.sqrt(math.fsum(value * value for value in values) / len(values))


def _by_server(flat: Sequence[Rung]) -> LimitEvidence | None:
    waiting = max((rung.server.peak_waiting or 0.0 for rung in flat if rung.server is not None), default=0.0)
    return ("capacity", "certain", f"the server's metrics show {waiting:g} requests waiting") if waiting else None


def _undecided(plateau: Sequence[Rung], tpm: float | None) -> LimitEvidence:
    first, last = plateau[0], plateau[-1]
    grows = _ratio(last.measures.latency_s.mean, first.measures.latency_s.mean)
    evidence = (
        f"plateau at {tpm or 0:,.0f} TPM while latency grows {grows:.1f} × from {first.concurrency} to {last.concurrency} "
        "in flight, no refusal, no pause between windows: a busy server, or a quota that delays requests evenly; --tpm-limit or "
        "--rpm-limit confirms a quota"
    )
    return "held or saturated", "open", evidence


def _by_rule(findings: LadderFindings) -> Binding:
    stop = findings.stop
    assert stop is not None
    limits: Mapping[str, Limit] = {"FAIL-SUCCESS": "errors", "CLIENT-LIMITED": "client"}
    return Binding(limits.get(stop.rule, "capacity"), "certain", f"at {stop.concurrency} in flight: {stop.reason}")


def _plateau(rungs: Sequence[Rung]) -> list[Rung]:
    most = max((rung.measures.qpm for rung in rungs), default=0.0)
    return sorted((rung for rung in rungs if rung.measures.qpm >= PLATEAU * most), key=lambda rung: rung.concurrency)


def _variation(groups: Sequence[Sequence[float]]) -> float:
    """Compute the relative deviation, pooled over groups with their own means."""
    scaled = [value * len(group) / sum(group) - 1 for group in groups if sum(group) for value in group]
    return math.sqrt(math.fsum(deviation * deviation for deviation in scaled) / len(scaled)) if scaled else 0.0


def _mean(values: Iterable[float]) -> float | None:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else None


def _output_tokens(rungs: Sequence[Rung]) -> float | None:
    """Return the mean output tokens of an answer."""
    return _mean(rung.measures.output_tokens / max(1, rung.measures.succeeded) for rung in rungs)


def _token_s(rungs: Sequence[Rung]) -> float | None:
    """Return the mean seconds per token after the first; None where nothing is streamed."""
    return _mean(rung.measures.tpot_s.mean for rung in rungs if rung.measures.tpot_s.mean is not None)


def _ratio(after: float | None, before: float | None) -> float:
    return after / before if after and before else 1.0
