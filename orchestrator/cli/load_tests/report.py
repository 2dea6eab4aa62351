"""`bench report`: a ladder's result as one HTML page."""

from __future__ import annotations

import click


@click.command("report")
@click.argument("ladder", type=click.Path(exists=True))
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False),
    help="Output file; by default bench-report.html beside the result.",
)
def command(ladder: str, output: str | None) -> int:
    """Write LADDER (ladder.json or its directory) as one self-contained HTML file: curves, table, limit."""
    from pathlib import Path

    from ...capacity.display.curves import read_curves
    from ...capacity.display.files import write_bytes
    from ...capacity.display.page import render_page
    from ...report.writing import require_extra
    from ...ui.terminal import say

    require_extra()
    source = Path(ladder)
    path = Path(output) if output else (source if source.is_dir() else source.parent) / "bench-report.html"
    write_bytes(path, render_page(read_curves(source)).encode())
    say(str(path))
    return 0
