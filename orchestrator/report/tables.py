"""The facts as tables of cells that people read; pages and Markdown show the same ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..ui.text_table import TextTable
from .facts.decisions import HEALTH, Decisions
from .facts.gather import Facts, FailureClass, SampleLine
from .facts.group_scores import GroupScore, shown
from .facts.instances import InstanceFacts
from .facts.running_time import RunningTime
from .facts.stage_times import TITLES, StageTime

NOTHING = "–"
MOST_DECISIONS = 400
LONGEST_MESSAGE = 150
"""Characters; the viewer and the records have all of it."""
KINDS = {
    "ok": "wrong answer",
    "model_failure": "the model",
    "infra_failure": "the infrastructure",
    "not_run": "not run",
}


def page_tables(facts: Facts) -> dict[str, TextTable]:
    """By the name of what they show; without those that have no row."""
    found = {
        "models": standing_table("By model", facts.standings),
        "prompts": standing_table("By model and prompt type", facts.by_prompt),
        "cells": cell_table(facts.cells),
        **{f"compare {one.axis}": one.table for one in facts.comparisons},
        "failures": failure_table(facts.failures),
        "unanswered": sample_table("Samples without an answer", facts.unanswered),
        "slowest": sample_table("Slowest samples", facts.slowest),
        "instances": instance_table(facts.instances),
        "stages": stage_time_table(facts.stage_times),
        "gates": gate_table(facts.decisions),
        "decisions": decision_table(facts.decisions, facts.running_time),
        "cost": cost_table(facts.standings),
    }
    return {name: table for name, table in found.items() if table.rows}


def not_whole(facts: Facts) -> str:
    """That the run goes on, or was killed; empty where every sample has a record."""
    missing = facts.total - facts.recorded
    if not missing:
        return ""
    return f"{missing:,} samples have no record here: they are in the journal or were not run. A resume brings them in."


def not_ranked(facts: Facts) -> str:
    """Why models stand by name and not by success; empty where they are ranked."""
    if not facts.obstacles:
        return ""
    more = f", and {len(facts.obstacles) - 1} more pairs" if len(facts.obstacles) > 1 else ""
    return f"Not ranked: {facts.obstacles[0]}{more}. Resume the run to bring the missing samples in."


# ------------------------------------------------------------------ how good
def standing_table(title: str, standings: Sequence[GroupScore]) -> TextTable:
    """Success on the clean denominator, and what the missing samples could make of it."""
    keys = _key_titles(standings)
    columns = (*keys, "success", "95 % interval", "worst – best case", "weighted", "scored", "missing", "mean time")
    return TextTable(title, columns, tuple(_standing_cells(one) for one in standings), keys=len(keys))


def _key_titles(standings: Sequence[GroupScore]) -> tuple[str, ...]:
    return tuple(name.replace("_", " ") for name in standings[0].group) if standings else ()


def _standing_cells(one: GroupScore) -> tuple[str, ...]:
    return (
        *map(shown, one.group.values()),
        percent(one.success_rate),
        span(one.low, one.high),
        span(one.worst_case, one.best_case) if one.scored < one.total else NOTHING,
        number(one.weighted_score, 3),
        f"{one.scored} of {one.total}",
        percent(one.missing_rate),
        seconds(one.means["mean_time_s"]),
    )


def cell_table(standings: Sequence[GroupScore]) -> TextTable:
    """Every cell with every count."""
    keys = _key_titles(standings)
    columns = (
        *(*keys, "total", "full", "partial", "failed", "infra", "not run", "success", "95 % interval", "weighted"),
        *("mean time", "turns", "tool calls", "tool coverage", "tool success", "error classes"),
    )
    return TextTable("Every cell", columns, tuple(_cell_cells(one) for one in standings), keys=len(keys))


def _cell_cells(one: GroupScore) -> tuple[str, ...]:
    return (
        *map(shown, one.group.values()),
        str(one.total),
        *map(str, one.counts.values()),
        percent(one.success_rate),
        span(one.low, one.high),
        number(one.weighted_score, 3),
        seconds(one.means["mean_time_s"]),
        number(one.means["mean_turns"], 1),
        number(one.means["mean_tool_calls"], 1),
        number(one.means["tool_coverage"], 2),
        percent(one.means["tool_success"]),
        counted(one.errors),
    )


def cost_table(standings: Sequence[GroupScore]) -> TextTable:
    columns = (
        "model",
        "input tokens",
        "output tokens",
        "per sample",
        "cost",
        "per full answer",
        "judge tokens",
        "judge cost",
    )
    return TextTable("By model", columns, tuple(_cost_cells(one) for one in standings))


def _cost_cells(one: GroupScore) -> tuple[str, ...]:
    tokens, full = one.input_tokens + one.output_tokens, one.counts["successful"]
    return (
        one.name,
        f"{one.input_tokens:,}",
        f"{one.output_tokens:,}",
        f"{tokens / one.total:,.0f}",
        dollars(one.cost_usd),
        dollars(one.cost_usd / full if one.cost_usd is not None and full else None),
        f"{one.judge_tokens:,}" if one.judge_tokens else NOTHING,
        dollars(one.judge_cost_usd),
    )


# ------------------------------------------------------------------ what failed
def failure_table(failures: Sequence[FailureClass]) -> TextTable:
    columns = ("class", "of", "samples", "instances", "one of the messages")
    rows = tuple(
        (
            one.error_class,
            KINDS.get(one.outcome, one.outcome),
            f"{one.samples:,}",
            str(len(one.instances)),
            brief(one.example) or NOTHING,
        )
        for one in failures
    )
    return TextTable("Failures by class", columns, rows, keys=2)


def sample_table(title: str, lines: Sequence[SampleLine]) -> TextTable:
    columns = ("sample", "task", "model", "prompt type", "outcome", "time", "tries", "message")
    return TextTable(title, columns, tuple(_sample_cells(one) for one in lines), keys=5)


def _sample_cells(one: SampleLine) -> tuple[str, ...]:
    error = ": ".join(text for text in (one.error_class, one.error_message) if text)
    return (
        str(one.ordinal),
        one.task_id,
        one.model,
        one.prompt_type,
        one.outcome.replace("_", " "),
        seconds(one.working_s),
        str(one.attempts),
        brief(error) or NOTHING,
    )


# ------------------------------------------------------------------ how it went
def instance_table(instances: Sequence[InstanceFacts]) -> TextTable:
    columns = (
        *("instance", "model", "planned", "done", "moved away", "requests", "refused", "failed", "mean latency"),
        "state at the end",
    )
    return TextTable("Instances", columns, tuple(_instance_cells(one) for one in instances), keys=2)


def _instance_cells(one: InstanceFacts) -> tuple[str, ...]:
    return (
        one.instance,
        one.model,
        f"{one.planned:,}",
        f"{one.done:,}",
        counted(one.moved_away) or NOTHING,
        whole(one.requests),
        whole(one.refusals),
        f"{one.infra_failures:,}",
        seconds(one.mean_latency_s),
        brief(one.state.replace(f"{one.instance}: ", "")),
    )


def stage_time_table(stages: Sequence[StageTime]) -> TextTable:
    columns = ("stage", "mean", "share", "median", "p95", "p99", "longest", "n")
    rows = tuple(
        (
            TITLES[one.stage],
            *(seconds(one.mean_s), percent(one.share)),
            *map(seconds, (one.p50_s, one.p95_s, one.p99_s, one.most_s)),
            f"{one.n:,}",
        )
        for one in stages
        if one.n
    )
    return TextTable("Where the time goes, per sample", columns, rows)


def gate_table(decisions: Decisions) -> TextTable:
    """Seconds under each gate, by instance."""
    under = decisions.ledger.time_under_s
    gates = tuple(dict.fromkeys(gate for spent in under.values() for gate in spent))
    rows = tuple((name, *(seconds(spent.get(gate)) for gate in gates)) for name, spent in sorted(under.items()))
    return TextTable("Time under each gate", ("instance", *gates), rows)


def decision_table(decisions: Decisions, time: RunningTime) -> TextTable:
    """The first of them; changes of health before the rest."""
    ordered = sorted(decisions.kept, key=lambda one: (one.event not in HEALTH, one.at))[:MOST_DECISIONS]
    rows = tuple(
        (f"{at_s:.1f} s", one.instance, one.event.replace("_", " "), one.words)
        for one in sorted(ordered, key=lambda one: one.at)
        for at_s in time.at_each([one.at])
    )
    return TextTable(f"Decisions ({len(rows)} of {decisions.total})", ("at", "instance", "decision", "why"), rows, 4)


# ------------------------------------------------------------------ cells
def percent(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.1f} %"


def span(low: float | None, high: float | None) -> str:
    return NOTHING if low is None or high is None else f"{100 * low:.1f} – {100 * high:.1f} %"


def number(value: float | None, digits: int) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"


def whole(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"


def seconds(value: float | None) -> str:
    if value is None:
        return NOTHING
    if 0 < value < 0.1:
        return f"{1000 * value:.1f} ms" if value >= 0.0001 else "< 0.1 ms"
    return f"{value:.2f} s" if value < 600 else f"{value / 60:.1f} min"


def dollars(value: float | None) -> str:
    return NOTHING if value is None else f"${value:,.4f}" if value < 1 else f"${value:,.2f}"


def brief(text: str) -> str:
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE].rstrip()} …"


def counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
