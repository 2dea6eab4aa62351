"""`bench ladder`: how many concurrent requests an endpoint carries, which rule says so, and what to set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import ONE_ENDPOINT, PACE, agree_to, load_options, read_order, read_rung_duration

if TYPE_CHECKING:
    from ...capacity.ladders import LadderOptions
    from ...capacity.search.expectations import Outcome
    from ...capacity.search.ladder import Ladder

_ABOVE_0 = click.FloatRange(0, min_open=True)
_RULES = (
    click.option("--rungs", help="Concurrencies, rising: 1,2,4,8,16. By default 1 2 5 10 20 50 … 1000."),
    click.option("--no-stop", is_flag=True, help="Climb every rung, whatever the rules say."),
    click.option(
        "--no-refine", is_flag=True, help="Neither bisect, nor test the limit again, nor hold the recommendation."
    ),
    click.option("--min-success", type=click.FloatRange(0, 1), default=0.95, show_default=True),
    click.option(
        "--max-ttft", type=_ABOVE_0, default=1.0, show_default=True, help="Seconds, mean; of streamed answers."
    ),
    click.option("--min-gain", type=float, default=0.2, show_default=True, help="Of throughput, per doubling."),
    click.option("--max-cpu-share", type=_ABOVE_0, default=0.9, show_default=True, help="Of this client's core."),
    click.option(
        "--max-lag", type=_ABOVE_0, default=0.05, show_default=True, help="Seconds that this client may be late."
    ),
    click.option("--max-kv-usage", type=_ABOVE_0, default=0.95, show_default=True),
    click.option("--tpm-limit", type=_ABOVE_0, help="Tokens a minute that you know to be allowed."),
    click.option("--rpm-limit", type=_ABOVE_0, help="Requests a minute that you know to be allowed."),
    click.option(
        "--no-contrast", is_flag=True, help="Do not tell quota from capacity by a last rung of other lengths."
    ),
    click.option("--together", is_flag=True, help="After each instance alone all of them at once."),
)
_RESULT = (
    click.option(
        "--expect", "expects", multiple=True, help="E.g. 'p95_ttft_s<1,success>=0.99@c=50': the exit code says."
    ),
    click.option("--save", is_flag=True, help="Let the next run start with the limits that are found."),
    click.option("--save-result/--no-save-result", default=True, help="One JSON file per rung."),
    click.option("--result-filename", help="Of those files: {concurrency} and {number} are filled in."),
    click.option("--output-dir", "-o", type=click.Path(file_okay=False), help="By default under bench/, by the time."),
    click.option(
        "--resume", type=click.Path(exists=True, file_okay=False), help="Go on with the ladder in this directory."
    ),
)
_TELLS = ("resume", "as_json", "yes")
"""Of one call alone."""
_ANEW = (*_TELLS, "expects", "cost_limit", "share")
"""Not part of what is measured: a resume may say them anew."""


@click.command("ladder")
@click.argument("config", required=False, type=click.Path())
@load_options(*ONE_ENDPOINT, *PACE, *_RULES, *_RESULT)
def command(config: str | None, **options: Any) -> int:
    """Climb from one request at a time until a rule stops, and say how many the endpoint of CONFIG carries.

    Exits 0, or 1 where an expectation is not met or nothing passed, 2 for a mistake, 3 where the cost limit or the instance ended it.
    """
    from runners.event_loop.run_loop import run_loop

    from ...capacity.display.ladder_result import RUNG_FILE, name_rung, write_settings
    from ...capacity.ladders import most_requests, run_ladders
    from ...capacity.search.expectations import read_expectations
    from ...capacity.workload.prompts import SyntheticPrompts
    from ...ui.terminal import say

    directory, options = _begun(config, options)
    expected = [one for text in options["expects"] for one in read_expectations(text)]
    name_rung(options["result_filename"] or RUNG_FILE, 1, 1)
    order = read_order(options)
    ladder_options = _read_ascent(directory, options, isinstance(order.workload.prompt, SyntheticPrompts))
    agree_to(
        order,
        most_requests(ladder_options.plan, ladder_options.rung_duration),
        options,
        "to each instance, if no rule stops it",
    )
    write_settings(directory, {name: value for name, value in options.items() if name not in _TELLS})
    if not options["as_json"]:
        say(f"results: {directory}")
    try:
        ladders = run_loop(run_ladders(order, ladder_options, _quiet if options["as_json"] else _tell_rung))
    except KeyboardInterrupt:
        say(f"interrupted; go on with: python -m orchestrator bench ladder --resume {directory}", err=True)
        raise
    outcomes = _check(expected, ladders)
    _show(ladders, outcomes, directory, options["as_json"])
    return _exit_code(ladders, outcomes)


def _begun(config: str | None, options: Mapping[str, Any]) -> tuple[Path, dict[str, Any]]:
    """The directory, and the options with the configuration among them: those of before where a ladder is resumed."""
    from datetime import datetime

    from ...capacity.display.ladder_result import SETTINGS_FILE, read_settings

    if options["resume"] is not None:
        directory = Path(options["resume"])
        said = _said({**options, "config": config or options["config_option"]})
        before = {name: value for name, value in read_settings(directory).items() if name in {*options, "config"}}
        _require_same(before, said, directory)
        kept = {name: value for name, value in before.items() if name not in said}
        return directory, {**options, **said, **kept, "config_option": None}
    config = config or options["config_option"]
    if config is None and options["base_url"] is None:
        raise click.UsageError(
            "name a sweep file, e.g. python -m orchestrator bench ladder sweep.yaml; or --resume DIRECTORY"
        )
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    directory = Path(options["output_dir"] or Path("bench") / f"ladder-{stamp}")
    if (directory / SETTINGS_FILE).exists():
        raise click.UsageError(f"{directory} holds a ladder: go on with it (--resume {directory}) or choose another -o")
    path = None if config is None else str(Path(config).absolute())
    return directory, {**options, "config": path, "config_option": None}


def _said(options: Mapping[str, Any]) -> dict[str, Any]:
    """What stands on the command line, the configuration as it is kept."""
    source = click.get_current_context().get_parameter_source
    said = {name: value for name, value in options.items() if source(name) == click.core.ParameterSource.COMMANDLINE}
    said.pop("config_option", None)
    return said if options["config"] is None else {**said, "config": str(Path(options["config"]).absolute())}


def _require_same(before: Mapping[str, Any], said: Mapping[str, Any], directory: Path) -> None:
    """Rungs that were measured otherwise make no ladder."""
    for parameter in click.get_current_context().command.params:
        name = str(parameter.name)
        value = list(said[name]) if isinstance(said.get(name), tuple) else said.get(name)
        if name in said and name not in _ANEW and value != before.get(name):
            what = "the configuration" if name == "config" else parameter.opts[0]
            raise click.UsageError(
                f"{what} {said[name]} is not what {directory} was begun with ({before.get(name)}): "
                "leave it out, or begin another ladder with -o"
            )


def _read_ascent(directory: Path, options: Mapping[str, Any], has_own_lengths: bool) -> LadderOptions:
    from ...capacity.display.ladder_result import RUNG_FILE
    from ...capacity.ladders import LadderOptions
    from ...capacity.search.binding import StatedLimits
    from ...capacity.search.next_step import RUNGS, LadderPlan
    from ...capacity.search.rules import Rules

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
        found = [int(part) for part in text.replace(",", " ").split()]
    except ValueError:
        found = []
    if not found or found[0] < 1 or found != sorted(set(found)):
        raise click.UsageError(f"--rungs {text}: write rising whole numbers from 1 on, e.g. 1,2,4,8,16")
    return found


def _check(expected: list[Any], ladders: list[Ladder]) -> dict[str, list[Outcome]]:
    from ...capacity.display.ladder_result import rows_of
    from ...capacity.search.expectations import check

    return {ladder.name: [check(one, rows_of(ladder), _limit(ladder)) for one in expected] for ladder in ladders}


def _exit_code(ladders: list[Ladder], outcomes: Mapping[str, list[Outcome]]) -> int:
    if any(not one.rungs or one.rungs[-1].gone for one in ladders):
        return 3
    is_met = all(one.is_met for its in outcomes.values() for one in its)
    return 0 if is_met and all(_limit(one) is not None for one in ladders) else 1


def _limit(ladder: Ladder) -> int | None:
    return ladder.limit or ladder.at_least


def _quiet(_ladder: Ladder) -> None:
    pass


def _tell_rung(ladder: Ladder) -> None:
    """One line as a rung ends."""
    from ...ui.terminal import say

    rung, found = ladder.rungs[-1], ladder.found.judged[-1]
    say(
        f"{ladder.name}: {rung.phase} {rung.concurrency} in flight: {rung.measures.qpm:.4g} QPM, {found.verdict}"
        f"{': ' if found.reason else ''}{found.reason}"
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
            document = ladder_document(ladder)
            del document["measured"]
            expectations = [asdict(one) for one in outcomes[ladder.name]]
            documents.append({**document, "expectations": expectations})
        say_json({"directory": str(directory), "ladders": documents, "shared_quota": shared})
        return
    for ladder in ladders:
        show_ladder(ladder)
        for one in outcomes[ladder.name]:
            say(f"expected {one.expectation}: {'met' if one.is_met else 'NOT MET'}, {one.reason}")
    if shared is not None:
        say(
            f"ONE QUOTA FOR ALL: alone they reach {shared['singles_qpm']:.4g} QPM added up, together "
            f"{shared['together_qpm']:.4g}: give these instances one limiter_group"
        )
