"""`bench`: load tests. How many concurrent requests an endpoint carries, what a rate takes, and which of two is quicker."""

from __future__ import annotations

import click

from .lazy import LazyGroup

COMMANDS: dict[str, str] = {}


@click.group("bench", cls=LazyGroup, rows=COMMANDS, module_prefix="bench_")
def command() -> None:
    """Load an endpoint and measure it. Every request is billed: see --cost-limit."""
