"""`bench`: load tests. How many concurrent requests an endpoint carries, what a rate takes, and which of two is quicker."""

from __future__ import annotations

import click

from ..lazy import LazyGroup

COMMANDS = {
    "compare": ("load_tests.compare", "Load two in turns and say which is quicker, and how sure that is."),
    "ladder": ("load_tests.ladder", "Climb until a rule stops: how many concurrent requests, and what to set."),
    "plot": ("load_tests.plot", "Draw a ladder's curves as PNG and SVG, and write its rows as CSV."),
    "qps": ("load_tests.qps", "Find the smallest concurrency that carries a rate."),
    "report": ("load_tests.report", "Write a ladder's result as one HTML page."),
    "run": ("load_tests.run", "Measure one setting: so many at once, or so many a second."),
}


@click.group("bench", cls=LazyGroup, rows=COMMANDS)
def command() -> None:
    """Load an endpoint and measure it. Every request is billed: see --cost-limit."""
