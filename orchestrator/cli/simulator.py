"""`simulator`: a file's simulated providers on their own, for other programs to talk to."""

from __future__ import annotations

import click

from .options import chosen_config, config_argument


@click.command("simulator")
@config_argument
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Of the first simulator; 0 takes a free one.")
@click.option(
    "--log", type=click.Path(dir_okay=False), help="What was answered and whether it was right, one JSON line each."
)
def command(config: str | None, config_option: str | None, port: int, log: str | None) -> int:
    """Serve every `type: simulator` provider of a file on loopback until Ctrl-C, and say how to reach it.

    A key is the value of the environment variable of its name, or else the name itself; deployments take SIMULATOR_KEY.
    """
    from runners.event_loop.run_loop import run_loop

    from ..config.environment import read_environment
    from ..config.loading import load_config
    from ..simulation.process import serve_until_interrupted

    path = chosen_config(config, config_option)
    environment = read_environment(path)
    loaded = load_config(path, environment)
    return run_loop(serve_until_interrupted(loaded, environment, port, log))
