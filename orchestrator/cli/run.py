"""`run`: a new run of a sweep file."""

from __future__ import annotations

from typing import Any

import click

from .options import chosen_config, config_argument, settings_of, sweep_options


@click.command("run")
@config_argument
@sweep_options
def command(config: str | None, config_option: str | None, **options: Any) -> int:
    """Run the sweep of a file and print its summary.

    Results are in RUN/results: Parquet parts or results.jsonl.
    """
    from ..env import read_environment
    from ..loading import load_config
    from ..preparation import create, prepare
    from .carry import carry
    from .signals import interruptible

    with interruptible():
        path = chosen_config(config, config_option)
        environment = read_environment(path)
        loaded = load_config(path, environment, settings_of(options))
        prepared = prepare(loaded, environment.key)
        return carry(prepared, create(prepared), environment)
