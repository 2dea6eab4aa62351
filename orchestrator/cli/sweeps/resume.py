"""`resume`: go on with a run where it stopped."""

from __future__ import annotations

from typing import Literal

import click

from ..options import run_options, settings_of


@click.command("resume")
@click.argument("run_directory", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--config",
    "-c",
    type=click.Path(),
    help="Another file, e.g. with other keys; results must not depend on the change.",
)
@click.option(
    "--only",
    type=click.Choice(["infra", "refused"]),
    help="Infrastructure failures alone, nothing that was never run; `refused`: of them what servers refused, also where an older version "
    "had booked it as the model's failure.",
)
@click.option(
    "--repair", is_flag=True, help="Set damaged result files aside and run again what cannot be read of them."
)
@run_options
def command(
    run_directory: str, config: str | None, only: Literal["infra", "refused"] | None, repair: bool, **options: object
) -> int:
    """Run the samples of RUN_DIRECTORY that have no final record yet: those that failed and those that were never run.

    Nothing is run twice. The files are verified first (see `verify`).
    """
    from pathlib import Path

    from ...api import stored_config
    from ...config.environment import read_environment
    from ...config.loading import load_config
    from ...execution.prepare import prepare
    from ...execution.resumption import ResumeOptions
    from ...results.directory import RunDirectory
    from ..signals import interruptible
    from .execution import carry

    resumption = ResumeOptions(repairs=repair, only=only, config=config)
    with interruptible():
        directory, flags = RunDirectory(Path(run_directory)), settings_of(options)
        environment = read_environment(config or Path(directory.read_manifest().base) / "sweep.yaml")
        loaded = load_config(config, environment, flags) if config else stored_config(directory, environment, flags)
        return carry(prepare(loaded, environment.key, environment.network()), directory, environment, resumption)
