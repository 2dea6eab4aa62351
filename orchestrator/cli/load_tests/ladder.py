"""`bench ladder`: the number of concurrent requests that an endpoint carries, the rule that limits it, and the settings to use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, cast

import click

from ...capacity.search.rules import Rules
from ..options import Decorator
from .options import ONE_ENDPOINT, PACE, agree_to, default_of, load_options, read_order, read_rung_duration

if TYPE_CHECKING:
    from providers.messages import JSON

    from ...capacity.ladders import LadderOptions
    from ...capacity.search.expectations import Expectation, Outcome
    from ...capacity.search.ladder import Ladder
    from .flags import LadderFlags

_SHARE, _ABOVE_0 = click.FloatRange(0, 1), click.FloatRange(0, min_open=True)


def _rule(flag: str, threshold: str, value_type: click.ParamType[float], text: str | None = None) -> Decorator:
    """Build the option of one of the `Rules`."""
    return click.option(flag, type=value_type, default=default_of(Rules, threshold), show_default=True, help=text)


_RULES = (
    click.option("--rungs", help="Concurrencies, rising: 1,2,4,8,16. By default 1 2 4 8 … 1024."),
    click.option("--no-stop", is_flag=True, help="Climb every rung, whatever the rules say."),
    click.option(
        "--no-refine", is_flag=True, help="Neither bisect, nor test the limit again, nor hold the recommendation."
    ),
    _rule("--min-success", "min_success", _SHARE),
    _rule("--max-ttft", "max_ttft_s", _ABOVE_0, "Seconds, mean; of streamed answers."),
    _rule("--min-gain", "min_gain", click.FLOAT, "Of throughput, per doubling."),
    _rule("--max-cpu-share", "max_cpu_share", _ABOVE_0, "Of this client's core."),
    _rule("--max-lag", "max_lag_s", _ABOVE_0, "Seconds that this client may be late."),
    _rule("--max-kv-usage", "max_kv_usage", _ABOVE_0),
    click.option("--tpm-limit", type=_ABOVE_0, help="Tokens a minute that you know to be allowed."),
    click.option("--rpm-limit", type=_ABOVE_0, help="Requests a minute that you know to be allowed."),
    click.option(
        "--no-contrast",
        is_flag=True,
        help="Skip the last rung with other prompt lengths, which separates quota from capacity.",
    ),
    click.option("--together", is_flag=True, help="After each single instance, test all together."),
)
_RESULT = (
    click.option(
        "--expect", "expects", multiple=True, help="E.g. 'p95_ttft_s<1,success>=0.99@c=50': exit 1 if not met."
    ),
    click.option("--save", is_flag=True, help="Start the next run with the measured limits."),
    click.option("--save-result/--no-save-result", default=True, help="One JSON file per rung."),
    click.option("--result-filename", help="Name of those files, with {concurrency} and {number}."),
    click.option(
        "--output-dir", "-o", type=click.Path(file_okay=False), help="By default a new directory under bench/."
    ),
    click.option(
        "--resume", type=click.Path(exists=True, file_okay=False), help="Continue the ladder in this directory."
    ),
)
_PER_CALL = ("resume", "as_json", "yes")
"""Options of a single call."""
_MAY_CHANGE = (*_PER_CALL, "expects", "cost_limit", "share")
"""Not part of what is measured: a resume may change these options."""


@click.command("ladder")
@click.argument("config", required=False, type=click.Path())
@load_options(*ONE_ENDPOINT, *PACE, *_RULES, *_RESULT)
def command(**options: Unpack[LadderFlags]) -> int:
    """Raise the concurrency step by step until a rule stops, and report how many requests the endpoint of CONFIG carries.

    Exits 0; 1 where an expectation is not met or no rung passed; 2 for a usage error; 3 where the cost limit or a lost instance stopped it.
    """
    from runners.event_loop.run_loop import run_loop

    from ...capacity.display.ladder_result import RUNG_FILE, name_rung, write_settings
    from ...capacity.ladders import most_requests, run_ladders
    from ...capacity.search.expectations import read_expectations
    from ...capacity.workload.prompts import SyntheticPrompts
    from ...ui.terminal import say

    directory, options = _begun(options)
    expected = [one for text in options["expects"] for one in read_expectations(text)]
    name_rung(options["result_filename"] or RUNG_FILE, 1, 1)
    order = read_order(options)
    ladder_options = _read_ladder_options(directory, options, isinstance(order.workload.prompt, SyntheticPrompts))
    agree_to(
        order,
        most_requests(ladder_options.plan, ladder_options.rung_duration),
        options,
        "to each instance, if no rule stops it",
    )
    write_settings(directory, {name: value for name, value in options.items() if name not in _PER_CALL})
    if not options["as_json"]:
        say(f"results: {directory}")
    try:
        ladders = run_loop(run_ladders(order, ladder_options, _quiet if options["as_json"] else _print_rung))
    except KeyboardInterrupt:
        say(f"interrupted; continue with: python -m orchestrator bench ladder --resume {directory}", err=True)
        raise
    outcomes = _check(expected, ladders)
    _show(ladders, outcomes, directory, options["as_json"])
    return _exit_code(ladders, outcomes)


def _begun(options: LadderFlags) -> tuple[Path, LadderFlags]:
    """Return the directory and the options with the configuration; a resumed ladder takes the options of its first start."""
    from datetime import datetime

    from ...capacity.display.ladder_result import SETTINGS_FILE, read_settings

    config = options["config"] or options["config_option"]
    if options["resume"] is not None:
        directory = Path(options["resume"])
        said = _given_options({**options, "config": config})
        before = {name: value for name, value in read_settings(directory).items() if name in options}
        _require_same(before, said, directory)
        kept = {name: value for name, value in before.items() if name not in said}
        return directory, cast("LadderFlags", {**options, **said, **kept, "config_option": None})
    if config is None and options["base_url"] is None:
        raise click.UsageError(
            "name a sweep file, e.g. python -m orchestrator bench ladder sweep.yaml; or --resume DIRECTORY"
        )
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    directory = Path(options["output_dir"] or Path("bench") / f"ladder-{stamp}")
    if (directory / SETTINGS_FILE).exists():
        raise click.UsageError(
            f"{directory} contains a ladder: continue it (--resume {directory}) or choose another -o"
        )
    path = None if config is None else str(Path(config).absolute())
    return directory, {**options, "config": path, "config_option": None}


def _given_options(options: LadderFlags) -> dict[str, object]:
    """Return the options given on the command line, with the absolute path of the configuration."""
    source = click.get_current_context().get_parameter_source
    typed = {name for name in options if source(name) == click.core.ParameterSource.COMMANDLINE}
    given = {name: value for name, value in options.items() if name in typed - {"config_option"}}
    return given if options["config"] is None else {**given, "config": str(Path(options["config"]).absolute())}


def _require_same(before: Mapping[str, JSON], given: Mapping[str, object], directory: Path) -> None:
    """Check that the options match those of the earlier rungs. Raises UsageError."""
    for parameter in click.get_current_context().command.params:
        name = str(parameter.name)
        chosen = given.get(name)
        value = list(chosen) if isinstance(chosen, tuple) else chosen
        if name in given and name not in _MAY_CHANGE and value != before.get(name):
            what = "the configuration" if name == "config" else parameter.opts[0]
            raise click.UsageError(
                f"{what} {given[name]} is not what {directory} was begun with ({before.get(name)}): "
                "leave it out, or begin another ladder with -o"
            )


def _read_ladder_options(directory: Path, options: LadderFlags, has_own_lengths: bool) -> LadderOptions:
    from ...capacity.display.ladder_result import RUNG_FILE
    from ...capacity.ladders import LadderOptions
    from ...capacity.search.binding import StatedLimits
    from ...capacity.search.next_step import RUNGS, LadderPlan

    rules = Rules(
        min_success=options["min_success"],
        max_ttft_s=options["max_ttft"],
        min_gain=options["min_gain"],
        max_cpu_share=options["max_cpu_share"],
        max_lag_s=options["max_lag"],
        max_kv_usage=options["max_kv_usage"],
    )
    rung_duration = read_rung_duration(options)
    return LadderOptions(
        LadderPlan(
            _rungs(options["rungs"]) if options["rungs"] else RUNGS,
            rules,
            rung_duration.minute_s,
            stops=not options["no_stop"],
            refines=not options["no_refine"],
            contrasts=has_own_lengths and not options["no_contrast"],
        ),
        rung_duration,
        directory,
        StatedLimits(options["rpm_limit"], options["tpm_limit"]),
        options["together"],
        options["save"],
        (options["result_filename"] or RUNG_FILE) if options["save_result"] else None,
    )


def _rungs(text: str) -> list[int]:
    try:
        levels = [int(part) for part in text.replace(",", " ").split()]
    except ValueError:
        levels = []
    if not levels or levels[0] < 1 or levels != sorted(set(levels)):
        raise click.UsageError(f"--rungs {text}: write rising whole numbers from 1 on, e.g. 1,2,4,8,16")
    return levels


def _check(expected: list[Expectation], ladders: list[Ladder]) -> dict[str, list[Outcome]]:
    from ...capacity.display.ladder_result import rows_of
    from ...capacity.search.expectations import check

    return {
        ladder.name: [check(expectation, rows_of(ladder), _limit(ladder)) for expectation in expected]
        for ladder in ladders
    }


def _exit_code(ladders: list[Ladder], outcomes: Mapping[str, list[Outcome]]) -> int:
    if any(not ladder.rungs or ladder.rungs[-1].gone for ladder in ladders):
        return 3
    is_met = all(outcome.is_met for ladder_outcomes in outcomes.values() for outcome in ladder_outcomes)
    return 0 if is_met and all(_limit(ladder) is not None for ladder in ladders) else 1


def _limit(ladder: Ladder) -> int | None:
    return ladder.limit or ladder.at_least


def _quiet(_ladder: Ladder) -> None:
    pass


def _print_rung(ladder: Ladder) -> None:
    """Print one line when a rung ends."""
    from ...ui.terminal import say

    rung, judgement = ladder.rungs[-1], ladder.found.judged[-1]
    say(
        f"{ladder.name}: {rung.phase} {rung.concurrency} in flight: {rung.measures.qpm:.4g} QPM, {judgement.verdict}"
        f"{': ' if judgement.reason else ''}{judgement.reason}"
    )


def _show(ladders: list[Ladder], outcomes: Mapping[str, list[Outcome]], directory: Path, as_json: bool) -> None:
    from dataclasses import asdict

    from ...capacity.display.ladder_result import ladder_document
    from ...capacity.ladders import shared_quota
    from ...ui.terminal import say, say_json
    from .ladder_view import show_ladder

    shared = shared_quota(ladders)
    if as_json:
        documents = []
        for ladder in ladders:
            document = {name: value for name, value in ladder_document(ladder).items() if name != "measured"}
            expectations = [asdict(one) for one in outcomes[ladder.name]]
            documents.append({**document, "expectations": expectations})
        say_json({"directory": str(directory), "ladders": documents, "shared_quota": shared})
        return
    for ladder in ladders:
        show_ladder(ladder)
        for outcome in outcomes[ladder.name]:
            say(f"expected {outcome.expectation}: {'met' if outcome.is_met else 'NOT MET'}, {outcome.reason}")
    if shared is not None:
        say(
            f"ONE QUOTA FOR ALL: single instances reach {shared['singles_qpm']:.4g} QPM in total, together "
            f"{shared['together_qpm']:.4g}: give these instances one limiter_group"
        )
