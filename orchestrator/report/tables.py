"""The facts as tables of text cells; pages and Markdown show the same tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..ui.text_table import TextTable
from .facts.cached import CacheFacts
from .facts.decisions import HEALTH, Decisions
from .facts.gather import Facts, FailureClass, SampleLine
from .facts.group_scores import GroupScore, shown
from .facts.instances import InstanceFacts
from .facts.running_time import RunningTime
from .facts.stage_times import TITLES, StageTime

NOTHING = "–"
MOST_DECISIONS = 400
LONGEST_MESSAGE = 150
"""Characters; the viewer and the records contain the whole message."""
KINDS = {
    "ok": "wrong answer",
    "model_failure": "the model",
    "infra_failure": "the infrastructure",
    "not_run": "not run",
}


def page_tables(facts: Facts) -> dict[str, TextTable]:
    """Build all tables that have rows, by name."""
    tables = {
        "models": standing_table("By model", facts.standings),
        "prompts": standing_table("By model and prompt type", facts.by_prompt),
        "cells": cell_table(facts.cells),
        **{f"compare {comparison.axis}": comparison.table for comparison in facts.comparisons},
        "failures": failure_table(facts.failures),
        "unanswered": sample_table("Samples without an answer", facts.unanswered),
        "slowest": sample_table("Slowest samples", facts.slowest),
        "instances": instance_table(facts.instances),
        "stages": stage_time_table(facts.stage_times),
        "gates": gate_table(facts.decisions),
        "decisions": decision_table(facts.decisions, facts.running_time),
        "cost": cost_table(facts.standings),
        "cached": cache_table(facts.cached),
    }
    return {name: table for name, table in tables.items() if table.rows}


def not_whole(facts: Facts) -> str:
    """Explain that records are missing because the run continues or was killed; empty where every sample has a record."""
    missing = facts.total - facts.recorded
    if not missing:
        return ""
    return f"{missing:,} samples have no record here: they are in the journal or were not run. A resume brings them in."


def not_ranked(facts: Facts) -> str:
    """Explain why models are ordered by name and not by success; empty where they are ranked."""
    if not facts.obstacles:
        return ""
    more = f", and {len(facts.obstacles) - 1} more pairs" if len(facts.obstacles) > 1 else ""
    return f"Not ranked: {facts.obstacles[0]}{more}. Resume the run to bring the missing samples in."


# ------------------------------------------------------------------ scores
def standing_table(title: str, standings: Sequence[GroupScore]) -> TextTable:
    """Build the table of success rates, with the effect of missing samples."""
    keys = _key_titles(standings)
    columns = (*keys, "success", "95 % interval", "worst – best case", "weighted", "scored", "missing", "mean time")
    return TextTable(title, columns, tuple(_standing_cells(score) for score in standings), keys=len(keys))


def _key_titles(standings: Sequence[GroupScore]) -> tuple[str, ...]:
    return tuple(name.replace("_", " ") for name in standings[0].group) if standings else ()


def _standing_cells(score: GroupScore) -> tuple[str, ...]:
    return (
        *map(shown, score.group.values()),
        percent(score.success_rate),
        span(score.low, score.high),
        span(score.worst_case, score.best_case) if score.missing_rate else NOTHING,
        number(score.weighted_score, 3),
        f"{score.scored} of {score.total}",
        percent(score.missing_rate),
        seconds(score.means["mean_time_s"]),
    )


def cell_table(standings: Sequence[GroupScore]) -> TextTable:
    """Build the table of every cell with every count."""
    keys = _key_titles(standings)
    columns = (
        *(
            *keys,
            "total",
            "full",
            "partial",
            "failed",
            "ungraded",
            "infra",
            "not run",
            "success",
            "95 % interval",
            "weighted",
        ),
        *("mean time", "turns", "tool calls", "tool coverage", "tool success", "error classes"),
    )
    return TextTable("Every cell", columns, tuple(_cell_cells(score) for score in standings), keys=len(keys))


def _cell_cells(score: GroupScore) -> tuple[str, ...]:
    return (
        *map(shown, score.group.values()),
        str(score.total),
        *map(str, score.counts.values()),
        percent(score.success_rate),
        span(score.low, score.high),
        number(score.weighted_score, 3),
        seconds(score.means["mean_time_s"]),
        number(score.means["mean_turns"], 1),
        number(score.means["mean_tool_calls"], 1),
        number(score.means["tool_coverage"], 2),
        percent(score.means["tool_success"]),
        counted(score.errors),
    )


def cost_table(standings: Sequence[GroupScore]) -> TextTable:
    """Build the table of tokens and cost by model."""
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
    return TextTable("By model", columns, tuple(_cost_cells(score) for score in standings))


def cache_table(cached: Sequence[CacheFacts]) -> TextTable:
    """Build the table of answers from the cache by model."""
    columns = ("model", "samples", "from the cache", "share", "saved")
    rows = [
        (row.model, f"{row.samples:,}", f"{row.cached:,}", percent(row.cached / row.samples), dollars(row.saved_usd))
        for row in cached
    ]
    return TextTable("Answers from the cache", columns, tuple(rows))


def _cost_cells(score: GroupScore) -> tuple[str, ...]:
    tokens, full = score.input_tokens + score.output_tokens, score.counts["successful"]
    return (
        score.name,
        f"{score.input_tokens:,}",
        f"{score.output_tokens:,}",
        f"{tokens / score.total:,.0f}",
        dollars(score.cost_usd),
        dollars(score.cost_usd / full if score.cost_usd is not None and full else None),
        f"{score.judge_tokens:,}" if score.judge_tokens else NOTHING,
        dollars(score.judge_cost_usd),
    )


# ------------------------------------------------------------------ failures
def failure_table(failures: Sequence[FailureClass]) -> TextTable:
    """Build the table of failures by class."""
    columns = ("class", "of", "samples", "instances", "one of the messages")
    rows = tuple(
        (
            failure.error_class,
            KINDS.get(failure.outcome, failure.outcome),
            f"{failure.samples:,}",
            str(len(failure.instances)),
            brief(failure.example) or NOTHING,
        )
        for failure in failures
    )
    return TextTable("Failures by class", columns, rows, keys=2)


def sample_table(title: str, lines: Sequence[SampleLine]) -> TextTable:
    """Build a table of samples."""
    columns = ("sample", "task", "model", "prompt type", "outcome", "time", "tries", "message")
    return TextTable(title, columns, tuple(_sample_cells(line) for line in lines), keys=5)


def _sample_cells(line: SampleLine) -> tuple[str, ...]:
    error = ": ".join(text for text in (line.error_class, line.error_message) if text)
    return (
        str(line.ordinal),
        line.task_id,
        line.model,
        line.prompt_type,
        line.outcome.replace("_", " "),
        seconds(line.working_s),
        str(line.attempts),
        brief(error) or NOTHING,
    )


# ------------------------------------------------------------------ progress
def instance_table(instances: Sequence[InstanceFacts]) -> TextTable:
    """Build the table of instances."""
    columns = (
        *("instance", "model", "planned", "done", "moved away", "requests", "refused", "failed", "mean latency"),
        "state at the end",
    )
    return TextTable("Instances", columns, tuple(_instance_cells(instance) for instance in instances), keys=2)


def _instance_cells(facts: InstanceFacts) -> tuple[str, ...]:
    return (
        facts.instance,
        facts.model,
        f"{facts.planned:,}",
        f"{facts.done:,}",
        counted(facts.moved_away) or NOTHING,
        whole(facts.requests),
        whole(facts.refusals),
        f"{facts.infra_failures:,}",
        seconds(facts.mean_latency_s),
        brief(facts.state.replace(f"{facts.instance}: ", "")),
    )


def stage_time_table(stages: Sequence[StageTime]) -> TextTable:
    """Build the table of times by stage."""
    columns = ("stage", "mean", "share", "median", "p95", "p99", "longest", "n")
    rows = tuple(
        (
            TITLES[stage.stage],
            *(seconds(stage.mean_s), percent(stage.share)),
            *map(seconds, (stage.p50_s, stage.p95_s, stage.p99_s, stage.most_s)),
            f"{stage.n:,}",
        )
        for stage in stages
        if stage.n
    )
    return TextTable("Where the time goes, per sample", columns, rows)


def gate_table(decisions: Decisions) -> TextTable:
    """Build the table of seconds under each gate, by instance."""
    under = decisions.ledger.time_under_s
    gates = tuple(dict.fromkeys(gate for spent in under.values() for gate in spent))
    rows = tuple((name, *(seconds(spent.get(gate)) for gate in gates)) for name, spent in sorted(under.items()))
    return TextTable("Time under each gate", ("instance", *gates), rows)


def decision_table(decisions: Decisions, time: RunningTime) -> TextTable:
    """Build the table of the first decisions; changes of health take precedence."""
    ordered = sorted(decisions.kept, key=lambda decision: (decision.event not in HEALTH, decision.at))[:MOST_DECISIONS]
    rows = tuple(
        (f"{at_s:.1f} s", decision.instance, decision.event.replace("_", " "), decision.words)
        for decision in sorted(ordered, key=lambda decision: decision.at)
        for at_s in time.at_each([decision.at])
    )
    return TextTable(f"Decisions ({len(rows)} of {decisions.total})", ("at", "instance", "decision", "why"), rows, 4)


# ------------------------------------------------------------------ cells
def percent(value: float | None) -> str:
    """Format a share as a percentage."""
    return NOTHING if value is None else f"{100 * value:.1f} %"


def span(low: float | None, high: float | None) -> str:
    """Format an interval of shares as percentages."""
    return NOTHING if low is None or high is None else f"{100 * low:.1f} – {100 * high:.1f} %"


def number(value: float | None, digits: int) -> str:
    """Format a number with that many decimals."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def whole(value: int | None) -> str:
    """Format an integer."""
    return NOTHING if value is None else f"{value:,}"


def seconds(value: float | None) -> str:
    """Format a duration in ms, s or min."""
    if value is None:
        return NOTHING
    if 0 < value < 0.1:
        return f"{1000 * value:.1f} ms" if value >= 0.0001 else "< 0.1 ms"
    return f"{value:.2f} s" if value < 600 else f"{value / 60:.1f} min"


def dollars(value: float | None) -> str:
    """Format an amount in US dollars."""
    return NOTHING if value is None else f"${value:,.4f}" if value < 1 else f"${value:,.2f}"


def brief(text: str) -> str:
    """Shorten a message."""
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE].rstrip()} …"


def counted(counts: Mapping[str, int]) -> str:
    """Format counts as a list of names and numbers."""
    return ", ".join(f"{name} {count}" for name, count in counts.items())
