"""`run`: run the sweep of a file in a new run directory."""

from __future__ import annotations

import click

from ..options import chosen_config, config_argument, settings_of, sweep_options


@click.command("run")
@config_argument
@sweep_options
def command(config: str | None, config_option: str | None, **options: object) -> int:
    """Run the sweep of a file and print its summary.

    The results are in the folder `results` of the run directory: Parquet parts or results.jsonl.
    """
    from ...config.environment import read_environment
    from ...config.loading import load_config
    from ...execution.prepare import create, prepare
    from ..signals import interruptible
    from .execution import carry

    with interruptible():
        path = chosen_config(config, config_option)
        environment = read_environment(path)
        loaded = load_config(path, environment, settings_of(options))
        prepared = prepare(loaded, environment.key, environment.network())
        return carry(prepared, create(prepared), environment)
