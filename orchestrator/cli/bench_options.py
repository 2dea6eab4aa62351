"""Options that load tests share: what is loaded, with which prompts, for how long, at what cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ..capacity.probe import Pace
    from ..capacity.workload import Workload
    from ..env import Environment
    from ..loading import LoadedConfig

F = TypeVar("F", bound=Callable[..., Any])
Option = Callable[[F], F]

_LOAD = (
    click.option("--model", help="A model of the file."),
    click.option("--instance", multiple=True, help="An instance or deployment; repeat it for several."),
    click.option(
        "--random-input-len",
        default="256:768",
        show_default=True,
        help="Tokens of synthetic prompts: 512, or 256:768, which lets a quota of tokens show itself.",
    ),
    click.option("--random-output-len", default="128", show_default=True, help="max_tokens: 128 or 64:256."),
    click.option("--tasks", is_flag=True, help="Send the sweep's own samples instead of synthetic prompts."),
    click.option("--stream/--no-stream", default=True, help="Without it there is no time to first token."),
    click.option("--seed", type=int, default=0, show_default=True),
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
    click.option(
        "--minute",
        type=float,
        default=60.0,
        show_default=True,
        help="Seconds; less where a simulator's time is scaled.",
    ),
    click.option("--cost-limit", type=click.FloatRange(0, min_open=True), help="US dollars; stops softly."),
    click.option("--share", is_flag=True, help="Use keys that another run is using, too."),
    click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Any setting of the file."),
)


def load_options(*more: Option[Any]) -> Callable[[F], F]:
    def add(function: F) -> F:
        for option in reversed((*_LOAD, *more)):
            function = option(function)
        return function

    return add


@dataclass(frozen=True, slots=True)
class Load:
    loaded: LoadedConfig
    environment: Environment
    workload: Workload
    pace: Pace


def read_load(config: str, options: Mapping[str, Any]) -> Load:
    """Raises InputError and UsageError."""
    from ..capacity.probe import Pace
    from ..env import read_environment
    from ..loading import load_config
    from .options import settings_of

    for name in ("rung_duration", "window", "minute"):
        if options[name] is not None and not 0 < options[name] < float("inf"):
            raise click.UsageError(f"--{name.replace('_', '-')} {options[name]:g}: seconds must be more than 0")
    environment = read_environment(config)
    chosen = {"model": (options["model"],) if options["model"] else (), "sets": options["sets"]}
    loaded = load_config(config, environment, settings_of(chosen))
    pace = Pace(
        options["prompts_per_slot"],
        options["min_requests"],
        options["rung_duration"],
        options["window"],
        options["minute"],
    )
    return Load(loaded, environment, _workload(loaded, options), pace)


def _workload(loaded: LoadedConfig, options: Mapping[str, Any]) -> Workload:
    from ..capacity.prompts import SyntheticPrompts, read_lengths, shuffled, sweep_prompts
    from ..capacity.workload import Sending, Workload
    from ..sweeps import open_sweep

    generation = loaded.config.generation
    sending = Sending(options["stream"], generation.temperature, generation.seed, generation.extra_body)
    if options["tasks"]:
        opened = open_sweep(loaded)
        try:
            prompts = sweep_prompts(opened.sweep, loaded.config.swept_models()[0], generation.max_tokens)
        finally:
            opened.tasks.close()
        return Workload("tasks", 0.0, generation.max_tokens, shuffled(prompts, options["seed"]), sending)
    input_, output = read_lengths(options["random_input_len"]), read_lengths(options["random_output_len"])
    synthetic = SyntheticPrompts(input_, output, options["seed"])
    return Workload("synthetic", synthetic.expected_tokens, output.mean, synthetic, sending)
