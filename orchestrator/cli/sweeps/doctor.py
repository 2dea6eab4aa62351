"""`doctor`: one small request to every instance, and plain words for what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..options import chosen_config, config_argument, settings_of, show_warnings, sweep_options

if TYPE_CHECKING:
    from ...config.environment import Environment
    from ...config.loading import LoadedConfig


@click.command("doctor")
@config_argument
@sweep_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.option(
    "--drift",
    "canaries",
    type=click.IntRange(min=1),
    metavar="N",
    help="Ask N tasks of the sweep at every instance instead, and say where another model seems to answer. 5 are enough for most.",
)
def command(config: str | None, config_option: str | None, as_json: bool, canaries: int | None, **options: Any) -> int:
    """Check every instance of the sweep with one small request. Exits 0 when all are usable, 1 when some are, 4 when none is.

    With --drift: exits 1 where an instance should not be pooled with the others of its model.
    """
    from dataclasses import asdict

    from runners.event_loop.run_loop import run_loop

    from ...config.environment import read_environment
    from ...config.loading import load_config
    from ...diagnosis.doctor import diagnose, exit_code_of
    from ...ui.terminal import say, say_json
    from ..tables import print_table

    path = chosen_config(config, config_option)
    environment = read_environment(path)
    loaded = load_config(path, environment, settings_of(options))
    show_warnings([*environment.warnings, *loaded.warnings()])
    if canaries is not None:
        return _drift(loaded, environment, canaries, as_json)
    findings = run_loop(diagnose(loaded, environment))
    if as_json:
        say_json([asdict(finding) for finding in findings])
    else:
        rows = [[f.instance, "usable" if f.is_usable else "NOT USABLE", f.latency_s, f.words] for f in findings]
        print_table("", ("instance", "", "s", "what was found"), rows)
        for way in dict.fromkeys(f.network for f in findings if f.network):
            say(f"{', '.join(f.instance for f in findings if f.network == way)}: {way}")
    return int(exit_code_of(findings))


def _drift(loaded: LoadedConfig, environment: Environment, canaries: int, as_json: bool) -> int:
    from dataclasses import asdict

    from runners.event_loop.run_loop import run_loop

    from ...diagnosis.drift_check import check_drift
    from ...ui.terminal import say, say_json
    from ..tables import print_table

    findings = run_loop(check_drift(loaded, environment, canaries))
    if as_json:
        say_json([asdict(finding) for finding in findings])
    elif not findings:
        say("no model has more than one instance: there is nothing to compare")
    else:
        rows = [
            [
                f.instance,
                "DRIFTED" if f.drifts else "same" if f.answered else "unknown",
                f.answered,
                f.disagreements,
                f.latency_s,
                "; ".join((*f.drifts, *f.notes, *filter(None, [f.unanswered]))),
            ]
            for f in findings
        ]
        print_table("", ("instance", "", "answered", "differ", "s", "what was found"), rows)
    return 1 if any(finding.drifts for finding in findings) else 0
