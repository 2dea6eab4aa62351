"""`doctor`: one small request to every instance, and plain words for what is wrong."""

from __future__ import annotations

from typing import Any

import click

from .options import chosen_config, config_argument, settings_of, show_warnings, sweep_options


@click.command("doctor")
@config_argument
@sweep_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def command(config: str | None, config_option: str | None, as_json: bool, **options: Any) -> int:
    """Check every instance of the sweep with one small request. Exits 0 when all are usable, 1 when some are, 4 when none is."""
    from dataclasses import asdict

    import orjson

    from ..doctor import diagnose, exit_code_of
    from ..env import read_environment
    from ..loading import load_config
    from ..loop import run_loop
    from .tables import print_table

    path = chosen_config(config, config_option)
    environment = read_environment(path)
    loaded = load_config(path, environment, settings_of(options))
    show_warnings(loaded.warnings())
    findings = run_loop(diagnose(loaded, environment))
    if as_json:
        click.echo(orjson.dumps([asdict(finding) for finding in findings], option=orjson.OPT_INDENT_2).decode())
    else:
        rows = [[f.instance, "usable" if f.is_usable else "NOT USABLE", f.latency_s, f.words] for f in findings]
        print_table("", ("instance", "", "s", "what was found"), rows)
    return int(exit_code_of(findings))
