"""`compare`: compare the levels of an axis of one or more runs, or the stages of runs with those of a competitor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ...results.compare.comparison import Comparison
    from ...ui.text_table import TextTable

FORMS = ("table", "markdown", "latex", "json")


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True))
@click.option(
    "--axis",
    type=click.Choice(["model", "prompt_type", "tool_success_rate", "run"]),
    help="The axis whose levels are compared. By default run where several are given, else model.",
)
@click.option("--baseline", help="The level that the others are compared with. By default the first.")
@click.option("--by", default="", help="Columns to compare within, separated by commas, e.g. prompt_type,difficulty.")
@click.option("--measure", type=click.Choice(["success", "score"]), default="success", show_default=True)
@click.option(
    "--stages", is_flag=True, help="Show success, response time, throughput and total time of every run instead."
)
@click.option(
    "--competitor",
    type=click.Path(exists=True),
    help="A run, or a result file of guidellm or evalscope. Show the gap to it and how much is closed. Implies --stages.",
)
@click.option("--format", "form", type=click.Choice(FORMS), default="table", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--fail-if-worse", is_flag=True, help="Exit 1 where a level is worse than the baseline or cannot be compared."
)
def command(
    runs: Sequence[str],
    axis: str | None,
    baseline: str | None,
    by: str,
    measure: str,
    stages: bool,
    competitor: str | None,
    form: str,
    as_json: bool,
    fail_if_worse: bool,
) -> int:
    """Compare models, prompt types or whole RUNS on the samples that they share."""
    shown = "json" if as_json else form
    if stages or competitor:
        if fail_if_worse:
            raise click.UsageError("--fail-if-worse compares scores; it cannot be used with --stages or --competitor")
        return _stages(runs, competitor, shown)
    from pathlib import Path

    for run in runs:
        if Path(run).is_file():
            raise click.UsageError(
                f"{run} is a file, not a run directory; a result file of another tool needs --stages"
            )
    from ...results.run import Run

    first, *others = (Run.load(Path(run)) for run in runs)
    within = [name.strip() for name in by.split(",") if name.strip()]
    comparison = first.compare(
        others, axis=axis, baseline=baseline, by=within, measure="score" if measure == "score" else "success"
    )
    if shown == "json":
        _echo_json(comparison.as_json())
    else:
        _show(comparison.table(), shown)
    return _gate(comparison) if fail_if_worse else 0


def _stages(runs: Sequence[str], competitor: str | None, shown: str) -> int:
    from pathlib import Path

    from ...results.compare.comparison import compare_stages
    from ...results.compare.document import gap_table, stage_table, stages_row

    comparison = compare_stages([Path(run) for run in runs], Path(competitor) if competitor else None)
    if shown == "json":
        _echo_json(stages_row(comparison.stages, comparison.competitor, comparison.gaps))
        return 0
    _show(stage_table(comparison.stages), shown)
    if comparison.competitor is not None:
        _show(stage_table([comparison.competitor]), shown)
        _show(gap_table(comparison.competitor.name, comparison.stages, comparison.gaps), shown)
    return 0


def _show(table: TextTable, form: str) -> None:
    from ...ui.terminal import say_lines

    if form == "markdown":
        say_lines(table.to_markdown())
    elif form == "latex":
        say_lines(table.to_latex())
    else:
        from ..tables import print_table

        print_table(table.title, table.columns, table.rows)


def _echo_json(document: object) -> None:
    from ...ui.terminal import say_json

    say_json(document)


def _gate(comparison: Comparison) -> int:
    """Return 1 where a level is worse than the baseline or cannot be compared with it, else 0."""
    from ...ui.terminal import say

    failed = [contrast for contrast in comparison.contrasts if contrast.verdict in {"worse", "not comparable"}]
    for contrast in failed:
        reason = f" ({contrast.reason})" if contrast.reason else ""
        say(f"{contrast.level.name} is {contrast.verdict} against {contrast.baseline.name}{reason}", err=True)
    return 1 if failed else 0
