"""Find the limit that binds, a quota or capacity, from refusals, headers and the timing of answers, and how certain that is.

A refusal with 429 always means a quota. A quota may also delay requests without a refusal. Then answers stop until its window ends, and the
accepted amount of every window is constant in the quota's own unit, and only in that unit. Without these signs a plateau alone cannot
distinguish a delaying quota from a busy server. A contrast can: one more rung at the plateau, with requests twice as long and answers half
as long. A token quota accepts as many tokens as before, and a request quota as many requests. A busy server does neither, because its time
goes into the answers; it also generates each answer more slowly, which no quota does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..measurement.rung import STEADIER, QuotaVariation, Rung, Unit
from .location import HEAD
from .next_step import LadderFindings
from .rules import INVALID, Judgement
from .server_time import Limit, LimitEvidence, Sureness, by_contrast, by_slowing, mean, ratio, why_undecided

CLOSE = 0.05
"""A plateau this close to a stated limit is that limit."""
PLATEAU = 0.93
"""Share of the best throughput that is evidence of the same ceiling; wider than the share that counts as the best."""
_BY_UNIT: Mapping[Unit, Limit] = {"requests": "RPM", "tokens": "TPM", "concurrency": "concurrency", "unsaid": "quota"}


QUOTAS: frozenset[Limit] = frozenset({"RPM", "TPM", "quota"})
"""Limits on the amount per window, which may be stored as credit."""
OPEN: frozenset[Limit] = frozenset({"quota", "held or saturated"})
"""Verdicts that leave open which unit is counted, or whether a quota exists."""


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
    quota = [rung for rung, judgement in pairs if judgement.verdict == "FAIL-QUOTA"]
    slow = [rung for rung, judgement in pairs if judgement.verdict in {"FAIL-GAIN", "FAIL-TTFT"}]
    is_rule = findings.stop is not None and findings.stop.rule not in {"FAIL-GAIN", "FAIL-QUOTA", "FAIL-TTFT"}
    if not (quota or slow or findings.knee) or is_rule:
        return _without_plateau(rungs, findings)
    plateau = plateau_of([rung for rung, judgement in pairs if judgement.verdict not in INVALID | {"FAIL-SUCCESS"}])
    limit, sureness, evidence = _by_evidence(pairs, quota, plateau, findings, known, minute_s)
    contrast = [(rung, judgement) for rung, judgement in judged if rung.phase == "contrast"]
    if contrast and limit in OPEN:
        limit, sureness, evidence = by_contrast(
            (min(pairs, key=lambda pair: pair[0].concurrency)[0], plateau), *contrast[-1], minute_s
        ) or (
            limit,
            sureness,
            f"{evidence}; the contrast is not decisive: {why_undecided(*contrast[-1])}",
        )
    if limit in QUOTAS and any(rung.measures.is_burst for rung in plateau):
        return Binding(limit, sureness, evidence, *_let_in(rungs, limit))  # stored credit is no ceiling
    counted = [rung for rung in plateau if limit != "concurrency" or not rung.measures.throttled] or plateau
    qpm, tpm = mean(rung.measures.qpm for rung in counted), mean(rung.measures.tpm for rung in counted)
    return Binding(limit, sureness, evidence, qpm, tpm)


def _by_evidence(
    pairs: Sequence[tuple[Rung, Judgement]],
    quota: Sequence[Rung],
    plateau: Sequence[Rung],
    findings: LadderFindings,
    known: StatedLimits,
    minute_s: float,
) -> LimitEvidence:
    answered = [rung for rung, judgement in pairs if judgement.verdict not in INVALID | {"FAIL-SUCCESS", "FAIL-QUOTA"}]
    return (
        _by_head_count(quota, findings)
        or _by_refusals(quota)
        or _by_stated_limits(plateau, known, minute_s)
        or _by_flow(plateau)
        or _by_beat(plateau, minute_s)
        or _by_server(answered)
        or by_slowing(answered)
        or _by_first_token(answered, findings)
        or _undecided(plateau, mean(rung.measures.tpm for rung in plateau))
    )


def _by_first_token(answered: Sequence[Rung], findings: LadderFindings) -> LimitEvidence | None:
    """Believe a slow first token where the time per token is unknown; where it is known and the same, requests wait before they begin."""
    if findings.stop is None or findings.stop.rule != "FAIL-TTFT" or any(rung.measures.tpot_s.n for rung in answered):
        return None
    return "capacity", "likely", f"at {findings.stop.concurrency} in flight: {findings.stop.reason}"


def _without_plateau(rungs: Sequence[Rung], findings: LadderFindings) -> Binding:
    if findings.stop is not None:
        return _by_rule(findings)
    if rungs and rungs[-1].gone:
        return Binding("none", "open", "it was interrupted before a rule stopped it")
    top = max(rungs, key=lambda rung: rung.concurrency, default=None)
    if top is not None and top.throughput is not None and top.throughput.stragglers:
        seen = f"stragglers at {top.concurrency} in flight: {top.throughput.stragglers}, up to {top.throughput.stragglers_s[0]:.3g} s"
        return Binding("none", "likely", f"no rule stopped it; {seen}")
    return Binding("none", "certain", "no rule stopped it: the limit is above the tested concurrencies")


def _by_head_count(quota: Sequence[Rung], findings: LadderFindings) -> LimitEvidence | None:
    """Find a limit on requests at a time: all refusals come with one number in flight, and a rung of that number passes.

    Refusals that name requests or tokens per time have no head count.
    """
    lowest = min(quota, key=lambda rung: rung.concurrency, default=None)
    if lowest is None or not lowest.throttles or (head := lowest.head_count) is None:
        return None
    low, high = findings.bracket or (0, lowest.concurrency)
    seen = f"every refusal came with {head} requests in flight"
    is_named = lowest.throttles.get("concurrency", 0) > 0
    is_sure = is_named or (lowest.admissions is not None and not lowest.admissions.is_opening)
    if not is_sure and low > max(head + 1, HEAD * head):
        return None  # it carried more than it refused when the rung began: a bucket
    if low >= head / HEAD and high <= math.ceil(HEAD * max(head, low)) + 1:
        return "concurrency", "certain" if is_sure else "likely", f"{seen}; {low} in flight passed, {high} did not"
    return "concurrency", "likely", seen


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


def _by_refusals(quota: Sequence[Rung]) -> LimitEvidence | None:
    counts: dict[Unit, int] = {}
    for unit, count in ((unit, count) for rung in quota for unit, count in rung.throttles.items()):
        counts[unit] = counts.get(unit, 0) + count
    if not counts:
        return None
    unit = max(counts, key=lambda name: (name != "unsaid", counts[name]))
    total = sum(counts.values())
    if unit == "unsaid":
        return "quota", "likely", f"{total} refusals with 429 that do not name a limit"
    return _BY_UNIT[unit], "certain", f"{counts[unit]} of {total} refusals with 429 name {unit}"


def _by_stated_limits(plateau: Sequence[Rung], known: StatedLimits, minute_s: float) -> LimitEvidence | None:
    """Compare the plateau with the limits that the user or the headers state."""
    last = plateau[-1]
    rpm = mean(rung.measures.qpm for rung in plateau) or 0.0
    tpm = mean(rung.measures.tpm for rung in plateau) or 0.0
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
    grows = ratio(last.measures.latency_s.mean, first.measures.latency_s.mean)
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


def plateau_of(rungs: Sequence[Rung]) -> list[Rung]:
    """Return the rungs of nearly the best throughput, by concurrency."""
    most = max((rung.per_s for rung in rungs), default=0.0)
    return sorted((rung for rung in rungs if rung.per_s >= PLATEAU * most), key=lambda rung: rung.concurrency)


def _variation(groups: Sequence[Sequence[float]]) -> float:
    """Compute the relative deviation, pooled over groups with their own means."""
    scaled = [value * len(group) / sum(group) - 1 for group in groups if sum(group) for value in group]
    return math.sqrt(math.fsum(deviation * deviation for deviation in scaled) / len(scaled)) if scaled else 0.0
