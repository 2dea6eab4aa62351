"""Options that load tests share: whom they load, with which prompts, for how long, and what that may cost."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..options import chosen_config, settings_of, show_warnings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...capacity.measurement.bench import RungDuration
    from ...capacity.measurement.session import LoadOrder
    from ...capacity.measurement.spec import WorkloadSpec
    from ...capacity.workload.load_estimate import LoadEstimate
    from ...config.environment import Environment
    from ...config.loading import LoadedConfig

F = TypeVar("F", bound=Callable[..., Any])
Option = Callable[[F], F]

_LOAD = (
    click.option("--model", help="A model of the file; without a file, the name that the API is called with."),
    click.option("--attempt-timeout", type=float, help="Seconds for one request."),
    click.option("--share", is_flag=True, help="Use keys that another run is using, too."),
    click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Any setting of the file."),
    click.option(
        "--workload",
        metavar="NAME|FILE",
        help="customer-service, content or code; synthetic, the default; tasks, the sweep's own; or a ShareGPT file.",
    ),
    click.option(
        "--random-input-len",
        metavar="N|MIN:MAX",
        help="Tokens of synthetic prompts; by default 256:768, or a preset's.",
    ),
    click.option(
        "--random-output-len", metavar="N|MIN:MAX", help="Most tokens of each answer; by default 128, or a preset's."
    ),
    click.option("--random-range-ratio", type=float, default=0.0, help="0.2 draws lengths from 0.8 to 1.2 times that."),
    click.option("--prefix-ratio", type=float, default=0.0, help="Share of every prompt that all have in common."),
    click.option("--extra-body", metavar="JSON", help="Goes into every request, e.g. '{\"ignore_eos\": true}'."),
    click.option("--stream/--no-stream", default=True, help="Whole answers have no time to first token."),
    click.option("--no-calibration", is_flag=True, help="Do not ask the endpoint first what it counts for a word."),
    click.option("--seed", type=int, help="Of prompts and arrivals."),
    click.option("--cost-limit", type=float, metavar="USD", help="Most that the test may cost."),
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
    click.option("--base-url", metavar="URL", help="An address, up to and with its /v1, in place of a file."),
    click.option("--api-key-env", metavar="VAR", help="With --base-url: the variable that holds the key."),
    click.option("--metrics-url", help="The server's Prometheus page (vLLM, SGLang); by default beside its API."),
    click.option("--no-server-metrics", is_flag=True, help="Do not look at the server's own metrics."),
)
"""What has no meaning where two are compared."""
MINUTE = click.option(
    "--minute", type=float, default=60.0, show_default=True, help="Seconds; less where a simulator's time is scaled."
)
PACE = (
    click.option(
        "--prompts-per-slot", type=click.IntRange(1), default=10, show_default=True, help="Times the concurrency."
    ),
    click.option(
        "--min-requests", type=click.IntRange(1), default=73, show_default=True, help="73 clean ones show 95 %."
    ),
    click.option("--rung-duration", type=float, help="Seconds, instead of a number of requests."),
    click.option(
        "--window", type=float, help="Seconds of the quota's window: rungs last three, measured over the last two."
    ),
    MINUTE,
)


def load_options(*more: Option[Any]) -> Callable[[F], F]:
    def add(function: F) -> F:
        for option in reversed((*_LOAD, *more)):
            function = option(function)
        return function

    return add


def read_order(options: Mapping[str, Any], names: Sequence[str] | None = None) -> LoadOrder:
    """`names` stand in for --instance. Raises InputError and UsageError."""
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
    """Raises UsageError."""
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
    """The file's configuration, or that of an address. Raises InputError."""
    from ...capacity.measurement.target import load_address
    from ...config.environment import read_environment
    from ...config.loading import load_config

    if options["model"] is not None and not options["model"].strip():
        raise click.UsageError("--model is empty: name a model, or leave it out")
    flags, base_url = settings_of(_as_settings(options)), options.get("base_url")
    if base_url is None:
        path = chosen_config(options["config"], options.get("config_option"))
        environment = read_environment(path)
        loaded = load_config(path, environment, flags)
    else:
        if options["config"] or options["config_option"]:
            raise click.UsageError("give a file or --base-url, not both")
        if options["model"] is None:
            raise click.UsageError("--base-url needs --model: the name that the API is called with")
        environment = read_environment()
        loaded = load_address(base_url, options["model"], options["api_key_env"], environment, flags)
    show_warnings([*environment.warnings, *loaded.warnings()])
    return loaded, environment


def _as_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are settings of the file."""
    found = {name: options[name] for name in ("attempt_timeout", "cost_limit", "seed", "share", "sets")}
    if options.get("base_url") is None:
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
    from ...capacity.measurement.spec import TASKS, WorkloadSpec

    if options["workload"] == TASKS and options.get("base_url") is not None:
        raise click.UsageError("--workload tasks needs a file that names them")
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
    """What so many requests take at most; asks before a test that may cost much. Raises UsageError where nobody can be asked."""
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
    click.confirm("Go on?", abort=True, err=True)
    return expected
