"""What people see of a ladder: the table in the units that are billed, the limit, what binds it, and what to set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...capacity.display.curves import say_ceiling
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
    rows = [_row(ladder, one, its) for one, its in zip(ladder.rungs, ladder.found.judged, strict=True)]
    print_table(ladder.name, COLUMNS, rows)
    found, binding = ladder.found, ladder.binding
    if found.stop is not None:
        say(f"stopped by {found.stop.rule} at {found.stop.concurrency} in flight: {found.stop.reason}")
    elif not ladder.is_complete:
        say(f"broken off: {ladder.rungs[-1].gone}" if ladder.rungs else "nothing was measured")
    if not ladder.is_credit:
        say(f"optimum: {_text(found.optimum)} in flight, the fewest within 3 % of the best throughput")
    say(f"binding: {binding.limit} ({binding.sureness}): {binding.evidence}")
    if found.stop is not None and binding.limit not in {"client", "errors"}:
        say(f"ceiling: {say_ceiling(binding.qpm_ceiling, binding.tpm_ceiling)}")
    say_first_error(ladder.rungs)
    for doubt in ladder.doubts:
        say(doubt)
    _show_advice(ladder)


def say_first_error(rungs: Sequence[Rung]) -> None:
    """Print what the first request that failed was told."""
    errors = [rung.measures.first_error for rung in rungs if rung.measures.first_error]
    if errors:
        say(f"first error: {errors[0]}")


def _show_advice(ladder: Ladder) -> None:
    from ...capacity.search.recommendation import lines_to_paste, recommendation_of, say_why_none

    advice = recommendation_of(ladder)
    if advice is None:
        say(f"no recommendation: {say_why_none(ladder)}")
        return
    by_client = ": beyond it this client was the bottleneck" if ladder.binding.limit == "client" else ""
    say(f"limit: {'at least ' if ladder.is_open else ''}{advice.limit} concurrent requests{by_client}")
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
        f"{measures.qpm:,.2f}",
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


def _seconds(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3g}"


def _gain(value: float | None) -> str:
    return "" if value is None else f"{value:+.0%}"


def _text(value: int | None) -> str:
    return "none" if value is None else str(value)
