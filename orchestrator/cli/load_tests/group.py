"""`bench`: load tests. They measure the concurrency that an endpoint carries or a rate needs, and which of two targets is faster."""

from __future__ import annotations

import click

from ..lazy import LazyGroup

COMMANDS = {
    "compare": ("load_tests.compare", "Compare two under the same load: which is faster, with which certainty."),
    "ladder": ("load_tests.ladder", "Raise the concurrency until a rule stops: the limit and the settings to use."),
    "plot": ("load_tests.plot", "Draw a ladder's curves as PNG and SVG, and write its rows as CSV."),
    "qps": ("load_tests.qps", "Find the smallest concurrency that carries a rate."),
    "report": ("load_tests.report", "Write a ladder's result as one HTML page."),
    "run": ("load_tests.run", "Measure one setting: a concurrency or a request rate."),
}


@click.group("bench", cls=LazyGroup, rows=COMMANDS)
def command() -> None:
    """Load an endpoint and measure it. Every request is billed: see --cost-limit."""
