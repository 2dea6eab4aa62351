"""Options that several commands share. Each sets one setting of the sweep file; `--set` can set any other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import click

from ..config.environment import SettingOverride
from ..ui.terminal import say

CommandFunction = Callable[..., int]
"""The function of a command. It returns the exit code."""
Decorator = Callable[[CommandFunction], CommandFunction]

PATHS = {
    "scenario": "sweep.scenario",
    "model": "sweep.models",
    "prompt_types": "sweep.prompt_types",
    "tool_success_rate": "sweep.tool_success_rates",
    "difficulty": "sweep.difficulties",
    "task_types": "sweep.task_types",
    "num_instances": "sweep.num_instances",
    "limit": "sweep.limit",
    "epochs": "sweep.epochs",
    "rate_mode": "run.rate_mode",
    "max_workers": "run.max_workers",
    "max_retries": "run.max_retries",
    "attempt_timeout": "run.attempt_timeout_s",
    "sample_timeout": "run.sample_timeout_s",
    "cost_limit": "run.cost_limit_usd",
    "token_limit": "run.token_limit",
    "time_limit": "run.time_limit_s",
    "drift_check": "run.drift_check",
    "seed": "run.seed",
    "output_dir": "run.output_dir",
    "display": "run.display",
    "notify": "run.notify",
}
"""The setting of each option."""

_SWEEP = (
    click.option(
        "--scenario", help="baseline, scale, flawed, tool-reliability or prompt-sensitivity; also 5.1 to 5.5."
    ),
    click.option(
        "--model", multiple=True, help="A model of the file; repeat the option or separate models with commas."
    ),
    click.option("--prompt-types", help="Prompt types, separated by commas."),
    click.option("--tool-success-rate", help="Rates in [0, 1], separated by commas; one stage per rate."),
    click.option("--difficulty", help="Difficulties, separated by commas, or all."),
    click.option("--task-types", help="Task types, separated by commas, or all."),
    click.option("--num-instances", type=int, help="Tasks per task type and difficulty."),
    click.option("--limit", type=int, help="Maximum number of tasks."),
    click.option("--epochs", type=int, help="Repetitions of every sample."),
    click.option("--seed", type=int, help="Seed of the run's random draws."),
)
_RUN = (
    click.option("--rate-mode", type=click.Choice(["adaptive", "fixed"])),
    click.option("--max-workers", type=int, help="Maximum number of samples in flight per instance."),
    click.option("--max-retries", type=int, help="Maximum number of attempts after the first."),
    click.option("--attempt-timeout", type=float, help="Timeout of one request in seconds."),
    click.option("--sample-timeout", type=float, help="Timeout of one sample in seconds, retries and waits included."),
    click.option("--cost-limit", type=float, metavar="USD", help="Maximum cost of the run, resumes included."),
    click.option("--token-limit", type=int, help="Maximum number of tokens, input and output, resumes included."),
    click.option(
        "--time-limit", metavar="DURATION", help="Maximum duration of this execution: seconds, or 90m, 2h30m."
    ),
    click.option("--no-stagger", is_flag=True, help="Start all shards at once."),
    click.option("--no-rebalance", is_flag=True, help="Keep to the plan: no instance takes over samples of another."),
    click.option("--cold", is_flag=True, help="Ignore the limits that earlier runs have learned."),
    click.option("--share", is_flag=True, help="Use keys even where another run is using them."),
    click.option(
        "--drift-check",
        type=int,
        metavar="N",
        help="First send N tasks to every instance to check that all serve the same model.",
    ),
    click.option(
        "--rehearse", is_flag=True, help="Rehearse on a virtual clock first and compare its duration with the run's."
    ),
    click.option("--notify", metavar="COMMAND", help="Run COMMAND for every alert; it reads JSON on standard input."),
    click.option("--display", type=click.Choice(["full", "plain", "none"])),
    click.option(
        "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Any setting of the file, e.g. run.grace_s=5."
    ),
)
_NEW = (click.option("--output-dir", "-o", type=click.Path(), help="The folder of run directories."),)


def config_argument(function: CommandFunction) -> CommandFunction:
    """Add the sweep file, as an argument or as --config."""
    function = click.option("--config", "-c", "config_option", type=click.Path(), help="The sweep file.")(function)
    return click.argument("config", required=False, type=click.Path())(function)


def sweep_options(function: CommandFunction) -> CommandFunction:
    """Add the options of a new run."""
    return decorate(function, *_SWEEP, *_RUN, *_NEW)


def run_options(function: CommandFunction) -> CommandFunction:
    """Add the options of a new or resumed run."""
    return decorate(function, *_RUN)


def decorate(function: CommandFunction, *options: Decorator) -> CommandFunction:
    """Add options; the help shows them in this order."""
    for option in reversed(options):
        function = option(function)
    return function


def chosen_config(config: str | None, config_option: str | None) -> str:
    """Return the sweep file. Raises UsageError unless exactly one is named."""
    if bool(config) == bool(config_option):
        raise click.UsageError("name one sweep file, e.g. python -m orchestrator run sweep.yaml")
    return str(config or config_option)


def settings_of(options: Mapping[str, object]) -> list[SettingOverride]:
    """Return the given options as settings."""
    overrides = [
        SettingOverride(path, _value(options[name]), f"--{name.replace('_', '-')}")
        for name, path in PATHS.items()
        if options.get(name) not in (None, ())
    ]
    if options.get("no_stagger"):
        overrides.append(SettingOverride("run.stagger_s", [0], "--no-stagger"))
    if options.get("no_rebalance"):
        overrides.append(SettingOverride("run.rebalance", False, "--no-rebalance"))
    overrides += [
        SettingOverride(f"run.{name}", True, f"--{name}") for name in ("cold", "share", "rehearse") if options.get(name)
    ]
    sets = options.get("sets", ())
    return overrides + [_set(text) for text in (sets if isinstance(sets, tuple) else ())]


def show_warnings(warnings: Iterable[str]) -> None:
    """Print warnings on standard error, so that the output of --json stays one document."""
    for warning in warnings:
        say(f"warning: {warning}", err=True)


def _value(given: object) -> object:
    return ",".join(given) if isinstance(given, tuple) else given


def _set(text: str) -> SettingOverride:
    path, sign, value = text.partition("=")
    if not sign:
        raise click.UsageError(f"--set {text}: write KEY=VALUE, e.g. --set run.max_retries=3")
    return SettingOverride(path.strip(), value, f"--set {path.strip()}")
