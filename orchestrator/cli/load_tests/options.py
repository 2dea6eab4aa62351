"""Options that all load tests share: target, prompts, duration and cost."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..options import chosen_config, settings_of, show_warnings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...capacity.measurement.bench import RungDuration
    from ...capacity.measurement.load_estimate import LoadEstimate
    from ...capacity.measurement.session import LoadOrder
    from ...capacity.measurement.spec import WorkloadSpec
    from ...config.environment import Environment
    from ...config.loading import LoadedConfig

F = TypeVar("F", bound=Callable[..., Any])
Option = Callable[[F], F]

_LOAD = (
    click.option("--model", help="A model of the file; without a file, the model name to send to the API."),
    click.option("--attempt-timeout", type=float, help="Seconds for one request."),
    click.option("--share", is_flag=True, help="Use keys that another run is using."),
    click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override any setting of the file."),
    click.option(
        "--workload",
        metavar="NAME|FILE",
        help="customer-service, content, code, synthetic (default), tasks (those of the sweep), or a ShareGPT file.",
    ),
    click.option(
        "--random-input-len",
        metavar="N|MIN:MAX",
        help="Tokens of synthetic prompts; by default 256:768, or a preset's.",
    ),
    click.option(
        "--random-output-len", metavar="N|MIN:MAX", help="Maximum tokens of each answer; by default 128, or a preset's."
    ),
    click.option(
        "--random-range-ratio", type=float, default=0.0, help="0.2 draws lengths from 0.8 to 1.2 times these."
    ),
    click.option("--prefix-ratio", type=float, default=0.0, help="Share of every prompt that is identical in all."),
    click.option(
        "--extra-body", metavar="JSON", help="JSON fields to add to every request, e.g. '{\"ignore_eos\": true}'."
    ),
    click.option("--stream/--no-stream", default=True, help="Without streaming there is no time to first token."),
    click.option("--no-calibration", is_flag=True, help="Skip measuring the endpoint's tokens per word."),
    click.option("--seed", type=int, help="Seed of prompts and arrivals."),
    click.option("--cost-limit", type=float, metavar="USD", help="Maximum cost of the test."),
    click.option("--yes", is_flag=True, help="Do not ask for confirmation above one dollar."),
    click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output."),
)
ONE_ENDPOINT = (
    click.option("--config", "-c", "config_option", type=click.Path(), help="The sweep file."),
    click.option(
        "--instance",
        multiple=True,
        help="An instance or deployment; repeat it for several. By default all of the model.",
    ),
    click.option("--base-url", metavar="URL", help="An address, including its /v1, instead of a file."),
    click.option("--api-key-env", metavar="VAR", help="With --base-url: the environment variable with the key."),
    click.option(
        "--metrics-url", help="The server's Prometheus metrics (vLLM, SGLang); by default at /metrics beside its API."
    ),
    click.option("--no-server-metrics", is_flag=True, help="Do not read the server's own metrics."),
)
"""Options that do not apply to a comparison of two targets."""
MINUTE = click.option(
    "--minute", type=float, default=60.0, show_default=True, help="Seconds; less on a simulator with scaled time."
)
PACE = (
    click.option(
        "--prompts-per-slot",
        type=click.IntRange(1),
        default=10,
        show_default=True,
        help="Requests per slot of the concurrency.",
    ),
    click.option(
        "--min-requests",
        type=click.IntRange(1),
        default=73,
        show_default=True,
        help="73 requests without failure show 95 % success.",
    ),
    click.option("--rung-duration", type=float, help="Seconds, instead of a number of requests."),
    click.option(
        "--window",
        type=float,
        help="Seconds of the quota window: a rung lasts three windows, the last two are measured.",
    ),
    MINUTE,
)


def load_options(*more: Option[Any]) -> Callable[[F], F]:
    """Return a decorator that adds the shared options and `more`."""

    def add(function: F) -> F:
        for option in reversed((*_LOAD, *more)):
            function = option(function)
        return function

    return add


def read_order(options: Mapping[str, Any], names: Sequence[str] | None = None) -> LoadOrder:
    """Read the target and the workload; `names` replace --instance. Raises InputError and UsageError."""
    from ...capacity.measurement.session import LoadOrder
    from ...capacity.measurement.spec import build_workload
    from ...capacity.measurement.target import choose_model

    loaded, environment = _load_target(options)
    names = options["instance"] if names is None else names
    model = choose_model(loaded.config) if not names else loaded.config.swept_models()[0]
    return LoadOrder(
        loaded,
        environment,
        build_workload(workload_spec(options), loaded, model),
        tuple(names),
        calibrates=not options["no_calibration"],
        reads_server_metrics=not options.get("no_server_metrics", False),
        metrics_url=options.get("metrics_url"),
    )


def read_rung_duration(options: Mapping[str, Any]) -> RungDuration:
    """Read the duration of a rung. Raises UsageError."""
    from ...capacity.measurement.bench import RungDuration

    for name in ("rung_duration", "window", "minute"):
        if options[name] is not None and not 0 < options[name] < float("inf"):
            raise click.UsageError(f"--{name.replace('_', '-')} {options[name]:g}: seconds must be more than 0")
    return RungDuration(
        options["prompts_per_slot"],
        options["min_requests"],
        options["rung_duration"],
        options["window"],
        options["minute"],
    )


def _load_target(options: Mapping[str, Any]) -> tuple[LoadedConfig, Environment]:
    """Load the configuration of the file or of the address. Raises InputError."""
    from ...capacity.measurement.target import load_address
    from ...config.environment import read_environment
    from ...config.loading import load_config

    if options["model"] is not None and not options["model"].strip():
        raise click.UsageError("--model is empty: name a model or omit the option")
    flags, base_url = settings_of(_as_settings(options)), options.get("base_url")
    if base_url is None:
        path = chosen_config(options["config"], options.get("config_option"))
        environment = read_environment(path)
        loaded = load_config(path, environment, flags)
    else:
        if options["config"] or options["config_option"]:
            raise click.UsageError("give a file or --base-url, not both")
        if options["model"] is None:
            raise click.UsageError("--base-url needs --model: the model name to send to the API")
        environment = read_environment()
        loaded = load_address(base_url, options["model"], options["api_key_env"], environment, flags)
    show_warnings([*environment.warnings, *loaded.warnings()])
    return loaded, environment


def _as_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Collect the options that are settings of the file."""
    settings = {name: options[name] for name in ("attempt_timeout", "cost_limit", "seed", "share", "sets")}
    if options.get("base_url") is None:
        settings["model"] = options["model"]
    if options["extra_body"] is not None:
        settings["sets"] = (*settings["sets"], f"generation.extra_body={_json_object(options['extra_body'])}")
    return settings


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
    """Read the requested workload. Raises UsageError."""
    from ...capacity.measurement.spec import TASKS, WorkloadSpec

    if options["workload"] == TASKS and options.get("base_url") is not None:
        raise click.UsageError("--workload tasks needs a file that names the tasks")
    return WorkloadSpec(
        name=options["workload"],
        input=options["random_input_len"],
        output=options["random_output_len"],
        range_ratio=options["random_range_ratio"],
        prefix_ratio=options["prefix_ratio"],
        stream=options["stream"],
    )


def agree_to(
    order: LoadOrder, requests: int | None, options: Mapping[str, Any], what: str = "to be sent"
) -> LoadEstimate:
    """Estimate the cost, print it and ask before an expensive test. Raises UsageError where there is no terminal to ask on."""
    from ...capacity.measurement.load_estimate import CONFIRM_ABOVE_USD, estimate
    from ...execution.components import prices_of
    from ...ui.terminal import say

    model = order.loaded.config.swept_models()[0]
    expected = estimate(requests, order.workload, model, prices_of(order.loaded.config))
    say(f"{what}: {expected}", err=True)
    cost = expected.cost_usd
    is_agreed = options["yes"] or order.loaded.config.run.cost_limit_usd is not None
    if is_agreed or cost is None or cost <= CONFIRM_ABOVE_USD:
        return expected
    if not sys.stdin.isatty():
        raise click.UsageError(f"the test may cost {cost:,.2f} USD: agree with --yes, or bound it with --cost-limit")
    click.confirm("Continue?", abort=True, err=True)
    return expected
