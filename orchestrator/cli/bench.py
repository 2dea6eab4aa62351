"""`bench`: load tests. How many concurrent requests an endpoint carries, what a rate takes, and which of two is quicker."""

from __future__ import annotations

import click

from .lazy import LazyGroup

COMMANDS = {
    "run": "Measure one setting: so many at once, or so many a second.",
    "plot": "Draw a ladder's curves as PNG and SVG, and write its rows as CSV.",
    "report": "Write a ladder's result as one HTML page.",
}


@click.group("bench", cls=LazyGroup, rows=COMMANDS, module_prefix="bench_")
def command() -> None:
    """Load an endpoint and measure it. Every request is billed: see --cost-limit."""
