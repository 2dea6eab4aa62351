"""`report`: write a report of a run as one HTML page, Markdown or JSON."""

from __future__ import annotations

import click


@click.command("report")
@click.argument("run_directory", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False),
    help="The file to write, replaced as a whole. By default report.html, .md or .json in RUN_DIRECTORY.",
)
@click.option("--format", "form", type=click.Choice(["html", "markdown", "json"]), default="html", show_default=True)
@click.option(
    "--samples",
    type=click.IntRange(min=0),
    default=20_000,
    show_default=True,
    help="Maximum number of samples in the page: those that did not pass first, then a seeded random selection of the others.",
)
@click.option("--open", "is_opened", is_flag=True, help="Open the report in the browser.")
def command(run_directory: str, output: str | None, form: str, samples: int, is_opened: bool) -> int:
    """Write a report of the run in RUN_DIRECTORY: results, comparisons, failures, instances, time, cost and conversations.

    The page is one file that needs no network; it can be mailed, archived and opened from disk.
    """
    import webbrowser
    from pathlib import Path

    from ...report.writing import ENDINGS, write_report
    from ...results.run import Run
    from ...ui.terminal import say

    path = Path(output) if output else Path(run_directory) / f"report{ENDINGS[form]}"
    contents = write_report(Run.load(run_directory), form, path, samples)
    say(f"report written to {path} ({contents})")
    if is_opened:
        webbrowser.open(path.resolve().as_uri())
    return 0
