"""Options that all load tests share: target, prompts, duration and cost."""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import TYPE_CHECKING

import click

from ...capacity.measurement.bench import CLEAN_REQUESTS, RungDuration
from ..options import Decorator, chosen_config, decorate, setting_option, settings_of, show_warnings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...capacity.measurement.session import LoadOrder
    from ...capacity.measurement.spec import WorkloadSpec
    from ...capacity.search.rules import Rules
    from ...capacity.workload.load_estimate import LoadEstimate
    from ...config.environment import Environment
    from ...config.loading import LoadedConfig
    from .flags import LoadFlags, PaceFlags


def default_of(kind: type[RungDuration | Rules], name: str) -> object:
    """Look up the default of a field; the value type declares it for Python and for the command line."""
    return next(field.default for field in fields(kind) if field.name == name)


_LOAD = (
    click.option("--model", help="A model of the file; without a file, the name that the API is called with."),
    setting_option("run.attempt_timeout_s"),
    setting_option("run.share"),
    click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Any setting of the file."),
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
    click.option("--random-range-ratio", type=float, default=0.0, help="0.2 draws lengths from 0.8 to 1.2 times that."),
    click.option("--prefix-ratio", type=float, default=0.0, help="Share of every prompt that all have in common."),
    click.option("--extra-body", metavar="JSON", help="Goes into every request, e.g. '{\"ignore_eos\": true}'."),
    click.option("--stream/--no-stream", default=True, help="Whole answers have no time to first token."),
    click.option("--no-calibration", is_flag=True, help="Do not ask the endpoint first what it counts for a word."),
    setting_option("run.seed", help="Of prompts and arrivals."),
    setting_option("run.cost_limit_usd", help="Most that the test may cost."),
    click.option("--yes", is_flag=True, help="Do not ask before a test that may cost more than a dollar."),
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
    "--minute",
    type=float,
    default=default_of(RungDuration, "minute_s"),
    show_default=True,
    help="Seconds; less where a simulator's time is scaled.",
)
PACE = (
    click.option(
        "--prompts-per-slot",
        type=click.IntRange(1),
        default=default_of(RungDuration, "prompts_per_slot"),
        show_default=True,
        help="Times the concurrency.",
    ),
    click.option(
        "--min-requests",
        type=click.IntRange(1),
        default=default_of(RungDuration, "min_requests"),
        show_default=True,
        help=f"{CLEAN_REQUESTS} clean ones show 95 %.",
    ),
    click.option("--rung-duration", type=float, help="Seconds, instead of a number of requests."),
    click.option(
        "--window",
        type=float,
        help="Seconds of the quota window: a rung lasts three windows, the last two are measured.",
    ),
    MINUTE,
)


def load_options(*more: Decorator) -> Decorator:
    """Return a decorator that adds the shared options and `more`."""
    return lambda function: decorate(function, *_LOAD, *more)


def read_order(options: LoadFlags, names: Sequence[str] | None = None) -> LoadOrder:
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


def read_rung_duration(options: PaceFlags) -> RungDuration:
    """Read the duration of a rung. Raises UsageError."""
    named = {"rung-duration": options["rung_duration"], "window": options["window"], "minute": options["minute"]}
    for name, seconds in named.items():
        if seconds is not None and not 0 < seconds < float("inf"):
            raise click.UsageError(f"--{name} {seconds:g}: seconds must be more than 0")
    return RungDuration(
        options["prompts_per_slot"],
        options["min_requests"],
        options["rung_duration"],
        options["window"],
        options["minute"],
    )


def _load_target(options: LoadFlags) -> tuple[LoadedConfig, Environment]:
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


def _as_settings(options: LoadFlags) -> dict[str, object]:
    """Collect the options that are settings of the file."""
    body = options["extra_body"]
    return {
        "attempt_timeout": options["attempt_timeout"],
        "cost_limit": options["cost_limit"],
        "seed": options["seed"],
        "share": options["share"],
        "model": options["model"] if options.get("base_url") is None else None,
        "sets": options["sets"] if body is None else (*options["sets"], f"generation.extra_body={_json_object(body)}"),
    }


def _json_object(text: str) -> str:
    import orjson

    try:
        is_object = isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        is_object = False
    if not is_object:
        raise click.UsageError(f"--extra-body {text} is not a JSON object, e.g. '{{\"ignore_eos\": true}}'")
    return text


def workload_spec(options: LoadFlags) -> WorkloadSpec:
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


def agree_to(order: LoadOrder, requests: int | None, options: LoadFlags, what: str = "to be sent") -> LoadEstimate:
    """Estimate the cost, print it and ask before an expensive test. Raises UsageError where there is no terminal to ask on."""
    from ...capacity.workload.load_estimate import CONFIRM_ABOVE_USD, estimate
    from ...execution.components import prices_of
    from ...ui.terminal import say
    from .estimate_view import describe_estimate

    model = order.loaded.config.swept_models()[0]
    expected = estimate(requests, order.workload, model, prices_of(order.loaded.config))
    say(f"{what}: {describe_estimate(expected)}", err=True)
    cost = expected.cost_usd
    is_agreed = options["yes"] or order.loaded.config.run.cost_limit_usd is not None
    if is_agreed or cost is None or cost <= CONFIRM_ABOVE_USD:
        return expected
    if not sys.stdin.isatty():
        raise click.UsageError(f"the test may cost {cost:,.2f} USD: agree with --yes, or bound it with --cost-limit")
    click.confirm("Continue?", abort=True, err=True)
    return expected
