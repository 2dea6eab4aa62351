"""From a ladder to a recommended setting: concurrency, reason, checks, lines for the sweep file, and the adaptive limiter's start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from providers.messages import JSON
from runners.limits.adaptive.ledger import TOKENS, UNITS, WINDOWS_S
from runners.limits.adaptive.persistence import VERSION

from ..measurement.rung import Rung
from .ladder import Ladder
from .next_step import fails_repeated
from .rules import judge_alone

MINUTE_LEVEL = WINDOWS_S.index(60.0)
RATE_MARGIN = 0.8
"""Share of the throughput at the limit, for fixed mode."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The recommended setting and the reason for it."""

    limit: int
    concurrency: int
    """70 to 80 % of the limit."""
    qps: float
    """Requests per second for fixed mode; no more than the held concurrency carried."""
    is_verified: bool | None
    """Whether the setting passed while it was held; None where it was not held."""
    reason: str
    checks: tuple[str, ...]


def recommendation_of(ladder: Ladder) -> Recommendation | None:
    """Derive the recommendation; None where no rung passed, or where stored credit may have carried all that passed."""
    findings = ladder.found
    if ladder.is_credit:
        return None
    at_limit = None if findings.limit is None else ladder.at(findings.limit)
    if findings.limit is None or findings.recommended is None or at_limit is None:
        return None
    held = ladder.held
    verified = None if held is None else _holds(ladder, held)
    rates = [
        RATE_MARGIN * at_limit.measures.requests_per_s,
        *([held.measures.requests_per_s] if held is not None else []),
    ]
    return Recommendation(
        findings.limit,
        findings.recommended,
        round(min(rates), 3),
        verified,
        _reason(ladder),
        tuple(_checks(ladder, at_limit)),
    )


def _holds(ladder: Ladder, held: Rung) -> bool:
    """Check whether the held rung passed, with the throughput that its neighbours promise."""
    is_passed = judge_alone(held, ladder.plan.rules).verdict == "PASS"
    return is_passed and not fails_repeated(held, ladder.plan.rules, ladder.found.curve)


def _reason(ladder: Ladder) -> str:
    findings, binding = ladder.found, ladder.binding
    share = f"{(findings.recommended or 0) / (findings.limit or 1):.0%} of the limit {findings.limit}"
    if findings.stop is None:
        return f"{share}, the highest that passed: no rule stopped the ladder"
    return f"{share}, above which {binding.limit} binds"


def _checks(ladder: Ladder, at_limit: Rung) -> list[str]:
    measures, minute_s = at_limit.measures, ladder.plan.minute_s
    checks = []
    if (latency_s := at_limit.latency_s) is not None:
        little = measures.requests_per_s * latency_s
        checks.append(
            f"Little: {measures.requests_per_s:.3g} requests/s × {latency_s:.3g} s = {little:.3g} in flight, "
            f"{at_limit.concurrency} requested"
        )
    unloaded_s = min(ladder.steps, key=lambda rung: rung.concurrency).measures.latency_s.mean
    if unloaded_s and ladder.binding.qpm_ceiling:
        spends = ladder.binding.qpm_ceiling / minute_s * unloaded_s
        checks.append(
            f"ceiling: {ladder.binding.qpm_ceiling:.4g} requests a minute at {unloaded_s:.3g} s each keep {spends:.3g} in "
            "flight; further requests only wait"
        )
    return checks


def explain_no_recommendation(ladder: Ladder) -> str:
    """Explain why there is no recommendation."""
    if ladder.is_credit:
        two = f"two windows of {ladder.plan.minute_s:g} s"
        return (
            f"the rungs that passed were shorter than {two}, so a quota's stored credit may have carried them; "
            f"run again with --window {ladder.plan.minute_s:g}"
        )
    if ladder.binding.limit == "client":
        return "this client was the bottleneck"
    lowest = min((rung.concurrency for rung in ladder.steps), default=None)
    return "nothing was measured" if lowest is None else f"the limit is below {lowest}: no rung passed, or none held"


def lines_to_paste(model: str, recommendation: Recommendation) -> str:
    """Format the recommendation as lines for the sweep file."""
    return f"models:\n  {model}: {{workers: {recommendation.concurrency}, qps: {recommendation.qps:g}}}   # beside its provider"


def learned_limits(ladder: Ladder) -> Mapping[str, JSON] | None:
    """Build initial values for the adaptive limiter in its own export format; None where no limit was found."""
    lowest = min(ladder.steps, key=lambda rung: rung.concurrency, default=None)
    limit, binding = ladder.found.limit, ladder.binding
    if lowest is None or limit is None or ladder.is_open or ladder.is_credit or binding.limit == "errors":
        return None
    measures = lowest.measures
    output = measures.output_tokens / measures.succeeded if measures.succeeded else None
    latency_s = measures.latency_s.mean
    is_rate = binding.limit in {"RPM", "TPM"}
    return {
        "version": VERSION,
        "mode": "conc" if binding.limit == "concurrency" else "start" if is_rate else "knee",
        "cap": float(limit),
        "best_rho": latency_s / output if latency_s and output else None,
        "level": MINUTE_LEVEL,
        "limits": _limits(ladder) if is_rate else None,
        "latency_s": latency_s,
        "output_tokens": output,
    }


def _limits(ladder: Ladder) -> Mapping[str, JSON]:
    """Build the limits per real minute."""
    binding, scale = ladder.binding, 60 / ladder.plan.minute_s
    amount = binding.tpm_ceiling if binding.limit == "TPM" else binding.qpm_ceiling
    binds = UNITS[TOKENS] if binding.limit == "TPM" else UNITS[0]
    return {unit: amount * scale if unit == binds and amount else None for unit in UNITS}
