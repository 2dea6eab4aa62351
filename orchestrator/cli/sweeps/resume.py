"""`resume`: continue a stopped run."""

from __future__ import annotations

from typing import Literal

import click

from ..options import run_options, settings_of, trust_option


@click.command("resume")
@click.argument("run_directory", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--config",
    "-c",
    type=click.Path(),
    help="Use another file, e.g. with other keys. It must not change what results depend on.",
)
@click.option(
    "--only",
    type=click.Choice(["infra", "refused"]),
    help="infra: run only infrastructure failures again, no samples that were never run. refused: of these only what servers refused, also "
    "where an older version recorded it as the model's failure.",
)
@click.option("--repair", is_flag=True, help="Move damaged result files away and run their unreadable samples again.")
@click.option(
    "--changed-code",
    is_flag=True,
    help="Continue with your own solver, scorer or reader as it is now, after a correction. The run notes what has changed.",
)
@trust_option
@run_options
def command(
    run_directory: str,
    config: str | None,
    only: Literal["infra", "refused"] | None,
    repair: bool,
    changed_code: bool,
    trust: bool,
    **options: object,
) -> int:
    """Run the samples of RUN_DIRECTORY without a final record: infrastructure failures and samples that were never run.

    Samples with a final record are not run again. The files are verified first (see `verify`).
    """
    from dataclasses import replace
    from pathlib import Path

    from ...api import stored_config
    from ...config.environment import read_environment
    from ...config.loading import load_config
    from ...execution.history.resumption import ResumeOptions
    from ...execution.history.trust import require_trusted
    from ...execution.prepare import prepare
    from ...results.run_directory.directory import RunDirectory
    from ..signals import interruptible
    from .execution import carry

    resumption = ResumeOptions(repairs=repair, only=only, changed_code=changed_code, config=config)
    with interruptible():
        directory, flags = RunDirectory(Path(run_directory)), settings_of(options)
        is_trusted = config is not None or require_trusted(
            directory, "resume", [flag.path for flag in flags], is_given=trust
        )
        environment = read_environment(config or Path(directory.read_manifest().base) / "sweep.yaml")
        loaded = load_config(config, environment, flags) if config else stored_config(directory, environment, flags)
        loaded = replace(loaded, is_trusted=is_trusted)
        return carry(prepare(loaded, environment.key, environment.network()), directory, environment, resumption)
