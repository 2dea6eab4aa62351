"""From a ladder to a setting: how many at once, why, what checks it, the lines for the sweep file, and what the limiter starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from providers.messages import JSON
from runners.limits.adaptive.ledger import TOKENS, UNITS, WINDOWS_S
from runners.limits.adaptive.persistence import VERSION

from ..measurement.rung import Rung
from .ladder import Ladder
from .rules import judge_alone

MINUTE_LEVEL = WINDOWS_S.index(60.0)
RATE_MARGIN = 0.8
"""Of the throughput at the limit, for fixed mode."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    limit: int
    concurrency: int
    """70 to 80 % of the limit."""
    qps: float
    """For fixed mode."""
    is_verified: bool | None
    """Whether it passed while it was held; None where it was not held."""
    reason: str
    checks: tuple[str, ...]


def recommendation_of(ladder: Ladder) -> Recommendation | None:
    """None where nothing passed, or nothing but what stored credit may have carried."""
    found = ladder.found
    if ladder.is_credit:
        return None
    at_limit = None if found.limit is None else ladder.at(found.limit)
    if found.limit is None or found.recommended is None or at_limit is None:
        return None
    held = ladder.held
    verified = None if held is None else judge_alone(held, ladder.plan.rules).verdict == "PASS"
    return Recommendation(
        found.limit,
        found.recommended,
        round(RATE_MARGIN * at_limit.measures.requests_per_s, 3),
        verified,
        _reason(ladder),
        tuple(_checks(ladder, at_limit)),
    )


def _reason(ladder: Ladder) -> str:
    found, binding = ladder.found, ladder.binding
    share = f"{(found.recommended or 0) / (found.limit or 1):.0%} of the limit {found.limit}"
    if found.stop is None:
        return f"{share}, the highest that passed: no rule has stopped it"
    return f"{share}, above which {binding.limit} binds"


def _checks(ladder: Ladder, at_limit: Rung) -> list[str]:
    measures, minute_s = at_limit.measures, ladder.plan.minute_s
    checks = []
    if (latency_s := measures.latency_s.mean) is not None:
        little = measures.requests_per_s * latency_s
        checks.append(
            f"Little: {measures.requests_per_s:.3g} requests/s × {latency_s:.3g} s = {little:.3g} in flight, "
            f"{at_limit.concurrency} asked for"
        )
    unloaded_s = min(ladder.steps, key=lambda one: one.concurrency).measures.latency_s.mean
    if unloaded_s and ladder.binding.qpm_ceiling:
        spends = ladder.binding.qpm_ceiling / minute_s * unloaded_s
        checks.append(
            f"ceiling: {ladder.binding.qpm_ceiling:.4g} requests a minute at {unloaded_s:.3g} s each keep {spends:.3g} in "
            "flight; more only wait"
        )
    return checks


def say_why_none(ladder: Ladder) -> str:
    """Where there is no recommendation."""
    if ladder.is_credit:
        two = f"two windows of {ladder.plan.minute_s:g} s"
        return (
            f"what passed was shorter than {two}, so a quota's stored credit may have carried it; "
            f"run again with --window {ladder.plan.minute_s:g}"
        )
    if ladder.binding.limit == "client":
        return "this client was the bottleneck"
    lowest = min((one.concurrency for one in ladder.steps), default=None)
    return "nothing was measured" if lowest is None else f"the limit lies below {lowest}: no rung passed, or none held"


def lines_to_paste(model: str, found: Recommendation) -> str:
    """For the sweep file."""
    return f"models:\n  {model}: {{workers: {found.concurrency}, qps: {found.qps:g}}}   # beside its provider"


def learned_limits(ladder: Ladder) -> Mapping[str, JSON] | None:
    """What the adaptive limiter starts from, in the form that it exports itself; None where nothing was found."""
    lowest = min(ladder.steps, key=lambda one: one.concurrency, default=None)
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
    """Per real minute."""
    binding, scale = ladder.binding, 60 / ladder.plan.minute_s
    amount = binding.tpm_ceiling if binding.limit == "TPM" else binding.qpm_ceiling
    binds = UNITS[TOKENS] if binding.limit == "TPM" else UNITS[0]
    return {unit: amount * scale if unit == binds and amount else None for unit in UNITS}
