"""`export`: a run's records in the form that other tools read."""

from __future__ import annotations

import click

FORMATS = ("jsonl", "csv", "parquet", "openai-batch")


@click.command("export")
@click.argument("run_directory", type=click.Path(exists=True, file_okay=False))
@click.option("--format", "form", type=click.Choice(FORMATS), help="By default the one that FILE's ending says.")
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False),
    required=True,
    help="The file to write; it is replaced as a whole.",
)
def command(run_directory: str, form: str | None, output: str) -> int:
    """Write every record of RUN_DIRECTORY to one file. `openai-batch` writes the Batch API's output lines.

    Values are exact in every format: in a spreadsheet, import a CSV file as text, or an answer that begins with = is a formula there.
    """
    from pathlib import Path

    from ...results.export import export
    from ...results.run import Run
    from ...ui.terminal import say

    chosen = form or Path(output).suffix.removeprefix(".")
    if chosen not in FORMATS:
        raise click.UsageError(
            f"{output}: its ending names no format; end it in .jsonl, .csv or .parquet, or give --format"
        )
    count = export(Run.load(run_directory), chosen, Path(output))
    say(f"{count} records written to {output}")
    return 0
