"""`bench run`: measure one setting of a load test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

from ..options import setting_option
from .options import ONE_ENDPOINT, agree_to, load_options, read_order, workload_spec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from ...capacity.measurement.session import EarlyStop, MeasuredSetting
    from ...capacity.measurement.spec import LoadSpec
    from ...capacity.workload.load_estimate import LoadEstimate
    from ...execution.history.outcome import ExitCode
    from .flags import RunFlags

RESULT = "bench-run.json"


@click.command("run")
@click.argument("config", required=False, type=click.Path())
@load_options(*ONE_ENDPOINT)
@click.option(
    "--preset",
    type=click.Choice(["quick", "realistic", "planning", "stability"]),
    help="quick: check that it works. realistic: expected traffic. planning: 1.5 × concurrency. stability: long run at 0.8 of both.",
)
@click.option("--max-concurrency", type=click.IntRange(min=1), help="Maximum requests in flight.")
@click.option("--request-rate", type=float, help="Arrivals per second, above 0; inf sends as fast as possible.")
@click.option(
    "--burstiness", type=float, default=1.0, help="Of arrivals: 1 is Poisson, less is burstier, inf is constant."
)
@click.option("--num-prompts", type=click.IntRange(min=1), help="Number of requests.")
@click.option("--duration", type=float, metavar="S", help="Seconds during which requests are sent.")
@click.option("--warmup", type=float, default=0.0, metavar="S", help="Seconds at the start that are not measured.")
@click.option("--cooldown", type=float, default=0.0, metavar="S", help="Seconds at the end that are not measured.")
@setting_option("run.display")
@click.option("--save-result", is_flag=True, help=f"Write the result as JSON: {RESULT} unless --result-filename.")
@click.option("--result-filename", type=click.Path(dir_okay=False), help="Where to; implies --save-result.")
@click.option("--save-requests", type=click.Path(dir_okay=False), help="A line per request: .csv or .jsonl.")
def command(**options: Unpack[RunFlags]) -> int:
    """Load an endpoint with one setting and print its measures.

    With a finite --request-rate requests are sent at their scheduled times. Without one, the next request is sent when an answer arrives.
    Exits 0 where all requests succeeded, 1 where some failed, 3 at a limit, 4 where the instance is permanently unusable.
    """
    from ...capacity.display.files import require_writable
    from ...capacity.measurement.session import measure_setting
    from ...capacity.measurement.spec import build_setting
    from ...capacity.workload.load_estimate import requests_of

    order = read_order(options)
    setting = build_setting(_load_spec(options), workload_spec(options).preset, order.loaded.config)
    for path in (_result_path(options), options["save_requests"]):
        require_writable(path)
    expected = agree_to(order, requests_of(setting.load, setting.volume), options)
    measured = _measure(
        lambda early_stop: measure_setting(
            order, setting, early_stop, display=options["display"], expected=expected.requests
        )
    )
    return _finish(measured, expected, options)


def _load_spec(options: RunFlags) -> LoadSpec:
    from ...capacity.measurement.spec import LoadSpec

    return LoadSpec(
        options["preset"],
        options["max_concurrency"],
        options["request_rate"],
        options["burstiness"],
        options["num_prompts"],
        options["duration"],
        options["warmup"],
        options["cooldown"],
    )


def _measure(measure: Callable[[EarlyStop], Awaitable[MeasuredSetting]]) -> MeasuredSetting:
    """Run the measurement; exit the program where a second signal cancels it."""
    import asyncio
    import sys

    from runners.event_loop.run_loop import run_loop

    from ...execution.history.outcome import ExitCode
    from ...ui.terminal import say
    from ..signals import interruptible

    try:
        with interruptible():
            return run_loop(_until_signal(measure))
    except asyncio.CancelledError:
        say("interrupted: there is no result", err=True)
        sys.exit(ExitCode.INTERRUPTED)


async def _until_signal(measure: Callable[[EarlyStop], Awaitable[MeasuredSetting]]) -> MeasuredSetting:
    from ...capacity.measurement.session import EarlyStop
    from ..signals import stopping_early

    early_stop = EarlyStop()
    with stopping_early(early_stop.pull):
        return await measure(early_stop)


def _finish(measured: MeasuredSetting, expected: LoadEstimate, options: RunFlags) -> int:
    """Write the requested files, print the result and return the exit code. Where writing fails, the result is still printed."""
    from ...capacity.display.files import write_document
    from ...capacity.display.run_result import document_of
    from ...ui.terminal import say, say_json
    from .run_view import print_trial

    write_s: float | None = None
    path = _result_path(options)
    try:
        write_s = _write_requests(measured, options["save_requests"])
        if path is not None:
            write_document(path, document_of(measured, expected, write_s))
    finally:
        if options["as_json"]:
            say_json(document_of(measured, expected, write_s))
        else:
            print_trial(measured, write_s)
    if path is not None and not options["as_json"]:
        say(f"result: {path}")
    return int(_exit_code(measured))


def _result_path(options: RunFlags) -> Path | None:
    from pathlib import Path

    if options["result_filename"] is not None:
        return Path(options["result_filename"])
    return Path(RESULT) if options["save_result"] else None


def _write_requests(measured: MeasuredSetting, to: str | None) -> float | None:
    """Write one row per request and return the seconds that it took."""
    import time
    from pathlib import Path

    from ...capacity.display.files import write_rows
    from ...capacity.display.run_result import request_rows

    if to is None:
        return None
    began = time.perf_counter()
    write_rows(Path(to), request_rows(measured.trial))
    return time.perf_counter() - began


def _exit_code(measured: MeasuredSetting) -> ExitCode:
    from ...execution.history.outcome import INTERRUPTED, ExitCode

    trial = measured.trial
    if trial.run.gone == INTERRUPTED:
        return ExitCode.INTERRUPTED
    if any(result.how == "gone" for result in trial.run.results):
        return ExitCode.NO_INSTANCE
    if trial.run.gone:
        return ExitCode.STOPPED
    return ExitCode.DONE if trial.measures.success_rate == 1 else ExitCode.DONE_WITH_FAILURES
