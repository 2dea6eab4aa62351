"""The printed result of a ladder: the table in billed units, the limit, what binds it, and the settings to use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...capacity.display.curves import format_bounds, format_ceiling
from ...ui.terminal import say
from ..tables import print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...capacity.measurement.rung import Rung
    from ...capacity.search.ladder import Ladder
    from ...capacity.search.rules import Judgement

COLUMNS = (
    "in flight",
    "",
    "QPM",
    "TPM",
    "mean s",
    "TTFT s",
    "errors",
    "429",
    "tokens/s",
    "gain",
    "doubled",
    "n",
    "verdict",
)


def show_ladder(ladder: Ladder) -> None:
    """Print the result of a ladder."""
    rows = [_row(ladder, rung, judgement) for rung, judgement in zip(ladder.rungs, ladder.found.judged, strict=True)]
    print_table(ladder.name, COLUMNS, rows)
    findings, binding = ladder.found, ladder.binding
    if findings.stop is not None:
        say(f"stopped by {findings.stop.rule} at {findings.stop.concurrency} in flight: {findings.stop.reason}")
    elif not ladder.is_complete:
        say(f"interrupted: {ladder.rungs[-1].gone}" if ladder.rungs else "nothing was measured")
    if not ladder.is_credit:
        say(f"optimum: {_text(findings.optimum)} in flight, the lowest concurrency within 3 % of the best throughput")
    say(f"binding: {binding.limit} ({binding.sureness}): {binding.evidence}")
    if findings.stop is not None and binding.limit not in {"client", "errors"}:
        say(f"ceiling: {format_ceiling(binding.qpm_ceiling, binding.tpm_ceiling)}")
    _show_cost(ladder)
    say_first_error(ladder.rungs)
    for doubt in ladder.doubts:
        say(doubt)
    _show_advice(ladder)


def _show_cost(ladder: Ladder) -> None:
    cost = "" if ladder.cost_usd is None else f", {ladder.cost_usd:.4g} USD"
    say(f"cost: {ladder.requests:,} requests{cost}")
    slowest = [s for rung in ladder.rungs if rung.throughput is not None for s in rung.throughput.stragglers_s]
    if slowest:
        say(
            f"stragglers: {ladder.stragglers} answers took more than 4 × the 90th percentile, up to {max(slowest):.3g} s; "
            "no figure of throughput counts them"
        )


def say_first_error(rungs: Sequence[Rung]) -> None:
    """Print the message of the first failed request."""
    errors = [rung.measures.first_error for rung in rungs if rung.measures.first_error]
    if errors:
        say(f"first error: {errors[0]}")


def _show_advice(ladder: Ladder) -> None:
    from ...capacity.search.recommendation import explain_no_recommendation, lines_to_paste, recommendation_of

    advice = recommendation_of(ladder)
    if advice is None:
        say(f"no recommendation: {explain_no_recommendation(ladder)}")
        return
    by_client = ": above it this client was the bottleneck" if ladder.binding.limit == "client" else ""
    interval = (
        "" if ladder.interval is None else f" (between {format_bounds(ladder.interval.low, ladder.interval.high)})"
    )
    say(f"limit: {'at least ' if ladder.is_open else ''}{advice.limit} concurrent requests{interval}{by_client}")
    tested = {None: "not held", True: "held under test", False: "DID NOT HOLD under test"}[advice.is_verified]
    say(f"recommended: {advice.concurrency} ({advice.reason}); {tested}")
    for check in advice.checks:
        say(f"  {check}")
    if advice.is_verified is not False:
        for line in lines_to_paste(ladder.model, advice).splitlines():
            say(line)


def _row(ladder: Ladder, rung: Rung, judged: Judgement) -> tuple[str, ...]:
    measures = rung.measures
    star = " *" if rung.concurrency == ladder.found.optimum else ""
    mark = " BURST" if measures.is_burst else ""
    return (
        f"{rung.concurrency}{star}",
        "" if rung.phase == "climb" else rung.phase,
        f"{measures.qpm:,.2f}{_error(rung)}",
        f"{measures.tpm:,.0f}",
        _seconds(measures.latency_s.mean),
        _seconds(measures.ttft_s.mean),
        f"{1 - measures.success_rate:.1%}",
        str(measures.throttled),
        f"{measures.output_tokens_per_s:,.1f}",
        _gain(judged.gain),
        _gain(judged.gain_per_doubling),
        str(measures.attempted),
        judged.verdict + mark,
    )


def _error(rung: Rung) -> str:
    if rung.throughput is None:
        return ""
    return f" ±{rung.throughput.high / rung.throughput.per_s - 1:.0%}"


def _seconds(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3g}"


def _gain(value: float | None) -> str:
    return "" if value is None else f"{value:+.0%}"


def _text(value: int | None) -> str:
    return "none" if value is None else str(value)
