"""`export`: write a run's records in a format that other tools read."""

from __future__ import annotations

import click

FORMATS = ("jsonl", "csv", "parquet", "openai-batch")


@click.command("export")
@click.argument("run_directory", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--format", "form", type=click.Choice(FORMATS), help="By default the format of the file name's extension."
)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False),
    required=True,
    help="The file to write; it is replaced as a whole.",
)
def command(run_directory: str, form: str | None, output: str) -> int:
    """Write every record of RUN_DIRECTORY to one file. `openai-batch` writes the Batch API's output lines.

    JSONL and Parquet hold the values as they are. In CSV an apostrophe stands before a text that a spreadsheet would run as a formula
    (= + - @), and control characters are replaced.
    """
    from pathlib import Path

    from ...results.export import export
    from ...results.run import Run
    from ...ui.terminal import say

    chosen = form or Path(output).suffix.removeprefix(".")
    if chosen not in FORMATS:
        raise click.UsageError(
            f"{output}: its extension names no format; use .jsonl, .csv or .parquet, or give --format"
        )
    count = export(Run.load(run_directory), chosen, Path(output))
    say(f"{count} records written to {output}")
    return 0
