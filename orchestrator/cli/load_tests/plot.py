"""`bench plot`: a ladder's curves as images, and its rows as a CSV table."""

from __future__ import annotations

import click


@click.command("plot")
@click.argument("ladder", type=click.Path(exists=True))
@click.option(
    "--output-dir", "-o", type=click.Path(file_okay=False), help="Output directory; by default beside the result."
)
def command(ladder: str, output_dir: str | None) -> int:
    """Draw throughput, efficiency and latency of LADDER (ladder.json or its directory) against concurrency.

    Writes curves.png, curves.svg and rungs.csv.
    """
    from pathlib import Path

    from ...capacity.display.curves import read_curves, table_rows
    from ...capacity.display.files import as_csv, write_bytes
    from ...capacity.display.plots import draw
    from ...report.writing import require_extra
    from ...ui.terminal import say

    require_extra()
    source = Path(ladder)
    curves = read_curves(source)
    to = Path(output_dir) if output_dir else source if source.is_dir() else source.parent
    files = {
        "curves.png": draw(curves, "png"),
        "curves.svg": draw(curves, "svg"),
        "rungs.csv": as_csv(table_rows(curves)).encode(),
    }
    for name, content in files.items():
        write_bytes(to / name, content)
        say(str(to / name))
    return 0
