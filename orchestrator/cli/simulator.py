"""`simulator`: serve the simulated providers of a file to other programs."""

from __future__ import annotations

import click

from .options import chosen_config, config_argument


@click.command("simulator")
@config_argument
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, help="Port of the first simulator; 0 takes a free port."
)
@click.option(
    "--log",
    type=click.Path(dir_okay=False),
    help="A log file with one JSON line per request: the answer, and whether it was right.",
)
def command(config: str | None, config_option: str | None, port: int, log: str | None) -> int:
    """Serve every `type: simulator` provider of a file on the loopback interface until Ctrl-C, and print the addresses.

    The file names the environment variables of the keys. Where a variable is not set, its name is the key. The key of deployments is
    SIMULATOR_KEY.
    """
    from runners.event_loop.run_loop import run_loop

    from ..config.environment import read_environment
    from ..config.loading import load_config
    from ..simulation.process import serve_until_interrupted

    path = chosen_config(config, config_option)
    environment = read_environment(path)
    loaded = load_config(path, environment)
    return run_loop(serve_until_interrupted(loaded, environment, port, log))
