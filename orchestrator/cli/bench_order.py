"""What the commands of `bench` have in common: whom they load, with what, and what that may cost."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .options import config_argument, settings_of

if TYPE_CHECKING:
    from ..capacity.cost import Estimate
    from ..capacity.spec import WorkloadSpec
    from ..env import Environment
    from ..loading import LoadedConfig

F = TypeVar("F", bound=Callable[..., Any])

_TARGET = (
    click.option("--model", help="A model of the file; without a file, the name that the API is called with."),
    click.option("--instance", help="One of its instances, by its name or its deployment's. By default all, in turn."),
    click.option("--base-url", metavar="URL", help="An address, up to and with its /v1, in place of a file."),
    click.option("--api-key-env", metavar="VAR", help="With --base-url: the variable that holds the key."),
    click.option("--attempt-timeout", type=float, help="Seconds for one request."),
    click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Any setting of the file."),
)
_WORKLOAD = (
    click.option(
        "--workload",
        metavar="NAME|FILE",
        help="customer-service, content or code; synthetic; the sweep's own tasks; or a ShareGPT file.",
    ),
    click.option("--random-input-len", metavar="N|MIN:MAX", help="Tokens of synthetic prompts."),
    click.option("--random-output-len", metavar="N|MIN:MAX", help="Most tokens of each answer."),
    click.option("--random-range-ratio", type=float, default=0.0, help="0.2 draws lengths from 0.8 to 1.2 times that."),
    click.option("--prefix-ratio", type=float, default=0.0, help="Share of every prompt that all have in common."),
    click.option("--extra-body", metavar="JSON", help="Goes into every request, e.g. '{\"ignore_eos\": true}'."),
    click.option("--no-stream", is_flag=True, help="Whole answers: no time to first token."),
    click.option("--no-calibration", is_flag=True, help="Do not ask the endpoint first what it counts for a word."),
    click.option("--seed", type=int, help="Of prompts and arrivals."),
)
_MONEY = (
    click.option("--cost-limit", type=float, metavar="USD", help="Most that the test may cost."),
    click.option("--yes", is_flag=True, help="Do not ask before a test that costs more than a dollar."),
)
_SHOWN = (
    click.option("--display", type=click.Choice(["full", "plain", "none"])),
    click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output."),
)


def bench_options(function: F) -> F:
    """Whom, with what, for how much."""
    for option in reversed((*_TARGET, *_WORKLOAD, *_MONEY, *_SHOWN)):
        function = option(function)
    return config_argument(function)


def load_target(options: Mapping[str, Any]) -> tuple[LoadedConfig, Environment]:
    """The file's configuration, or that of an address. Raises InputError."""
    from ..capacity.target import load_address
    from ..env import read_environment
    from ..loading import load_config
    from .options import chosen_config, show_warnings

    flags = settings_of(_as_settings(options))
    if options["base_url"] is None:
        path = chosen_config(options["config"], options["config_option"])
        environment = read_environment(path)
        loaded = load_config(path, environment, flags)
    else:
        if options["config"] or options["config_option"]:
            raise click.UsageError("give a file or --base-url, not both")
        if options["model"] is None:
            raise click.UsageError("--base-url needs --model: the name that the API is called with")
        environment = read_environment()
        loaded = load_address(options["base_url"], options["model"], options["api_key_env"], environment, flags)
    show_warnings([*environment.warnings, *loaded.warnings()])
    return loaded, environment


def _as_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are settings of the file."""
    found = {name: options[name] for name in ("attempt_timeout", "cost_limit", "seed", "sets")}
    if options["base_url"] is None:
        found["model"] = options["model"]
    if options["extra_body"] is not None:
        found["sets"] = (*found["sets"], f"generation.extra_body={_json_object(options['extra_body'])}")
    return found


def _json_object(text: str) -> str:
    import orjson

    try:
        is_object = isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        is_object = False
    if not is_object:
        raise click.UsageError(f"--extra-body {text} is not a JSON object, e.g. '{{\"ignore_eos\": true}}'")
    return text


def workload_spec(options: Mapping[str, Any]) -> WorkloadSpec:
    from ..capacity.spec import SYNTHETIC, TASKS, WorkloadSpec

    name = options["workload"]
    if name == TASKS and options["base_url"] is not None:
        raise click.UsageError("--workload tasks needs a file that names them")
    if name is None and options["base_url"] is not None:
        name = SYNTHETIC
    return WorkloadSpec(
        name=name,
        input=options["random_input_len"],
        output=options["random_output_len"],
        range_ratio=options["random_range_ratio"],
        prefix_ratio=options["prefix_ratio"],
        stream=not options["no_stream"],
    )


def confirm(expected: Estimate, *, is_agreed: bool) -> None:
    """Ask before a test that may cost much. Raises UsageError where nobody can be asked."""
    from ..capacity.cost import CONFIRM_ABOVE_USD
    from ..terminal import say

    say(f"to be sent: {expected}", err=True)
    cost = expected.cost_usd
    if is_agreed or cost is None or cost <= CONFIRM_ABOVE_USD:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"the test may cost {cost:,.2f} USD: agree with --yes, or bound it with --cost-limit")
    click.confirm("Go on?", abort=True, err=True)
