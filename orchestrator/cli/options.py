"""Options that several commands share. Each is one setting of the file; `--set` reaches the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import click

from ..config.environment import SettingOverride
from ..ui.terminal import say

CommandFunction = Callable[..., int]
"""Returns the exit code."""
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
"""Flag to setting."""

_SWEEP = (
    click.option(
        "--scenario", help="baseline, scale, flawed, tool-reliability or prompt-sensitivity; also 5.1 to 5.5."
    ),
    click.option("--model", multiple=True, help="A model of the file; repeat it or separate with commas."),
    click.option("--prompt-types", help="Prompt types, separated by commas."),
    click.option("--tool-success-rate", help="Rates in [0, 1], separated by commas; they run one after another."),
    click.option("--difficulty", help="Difficulties, separated by commas, or all."),
    click.option("--task-types", help="Task types, separated by commas, or all."),
    click.option("--num-instances", type=int, help="Tasks per task type and difficulty."),
    click.option("--limit", type=int, help="Most tasks taken."),
    click.option("--epochs", type=int, help="Repetitions of every sample."),
    click.option("--seed", type=int, help="Of the run's own draws."),
)
_RUN = (
    click.option("--rate-mode", type=click.Choice(["adaptive", "fixed"])),
    click.option("--max-workers", type=int, help="Most samples in flight per instance."),
    click.option("--max-retries", type=int, help="Further attempts after the first."),
    click.option("--attempt-timeout", type=float, help="Seconds for one request."),
    click.option("--sample-timeout", type=float, help="Seconds for one sample, its retries and waits included."),
    click.option("--cost-limit", type=float, metavar="USD", help="Most that the run may cost, resumes included."),
    click.option("--token-limit", type=int, help="Most tokens, input and output, resumes included."),
    click.option("--time-limit", metavar="DURATION", help="Of this execution: seconds, or 90m, 2h30m."),
    click.option("--no-stagger", is_flag=True, help="Start all shards at once."),
    click.option("--no-rebalance", is_flag=True, help="Keep to the plan: nobody takes over another's work."),
    click.option("--cold", is_flag=True, help="Ignore what earlier runs have learnt about limits."),
    click.option("--share", is_flag=True, help="Use keys that another run is using, too."),
    click.option("--drift-check", type=int, metavar="N", help="Ask N tasks at every instance first: is it one model?"),
    click.option("--rehearse", is_flag=True, help="Rehearse on a virtual clock first; shown against what happened."),
    click.option("--notify", metavar="COMMAND", help="Run COMMAND for every alert; it gets JSON on standard input."),
    click.option("--display", type=click.Choice(["full", "plain", "none"])),
    click.option(
        "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Any setting of the file, e.g. run.grace_s=5."
    ),
)
_NEW = (click.option("--output-dir", "-o", type=click.Path(), help="Where run directories are made."),)


def config_argument(function: CommandFunction) -> CommandFunction:
    """The sweep file, by position or as --config."""
    function = click.option("--config", "-c", "config_option", type=click.Path(), help="The sweep file.")(function)
    return click.argument("config", required=False, type=click.Path())(function)


def sweep_options(function: CommandFunction) -> CommandFunction:
    """Add the options of a new run."""
    return decorate(function, *_SWEEP, *_RUN, *_NEW)


def run_options(function: CommandFunction) -> CommandFunction:
    """Add the options of a run that may be an old one."""
    return decorate(function, *_RUN)


def decorate(function: CommandFunction, *options: Decorator) -> CommandFunction:
    """Add options, so that help shows them in their order."""
    for option in reversed(options):
        function = option(function)
    return function


def chosen_config(config: str | None, config_option: str | None) -> str:
    if bool(config) == bool(config_option):
        raise click.UsageError("name one sweep file, e.g. python -m orchestrator run sweep.yaml")
    return str(config or config_option)


def settings_of(options: Mapping[str, object]) -> list[SettingOverride]:
    """The flags that were given, as settings."""
    found = [
        SettingOverride(path, _value(options[name]), f"--{name.replace('_', '-')}")
        for name, path in PATHS.items()
        if options.get(name) not in (None, ())
    ]
    if options.get("no_stagger"):
        found.append(SettingOverride("run.stagger_s", [0], "--no-stagger"))
    if options.get("no_rebalance"):
        found.append(SettingOverride("run.rebalance", False, "--no-rebalance"))
    found += [
        SettingOverride(f"run.{name}", True, f"--{name}") for name in ("cold", "share", "rehearse") if options.get(name)
    ]
    sets = options.get("sets", ())
    return found + [_set(text) for text in (sets if isinstance(sets, tuple) else ())]


def show_warnings(warnings: Iterable[str]) -> None:
    """On standard error: what --json prints stays one document."""
    for warning in warnings:
        say(f"warning: {warning}", err=True)


def _value(given: object) -> object:
    return ",".join(given) if isinstance(given, tuple) else given


def _set(text: str) -> SettingOverride:
    path, sign, value = text.partition("=")
    if not sign:
        raise click.UsageError(f"--set {text}: write KEY=VALUE, e.g. --set run.max_retries=3")
    return SettingOverride(path.strip(), value, f"--set {path.strip()}")
