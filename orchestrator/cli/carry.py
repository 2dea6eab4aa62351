"""What `run` and `resume` share: signals, the log, the summary and the last line."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import click

from providers.messages import JSON
from runners.shutdown import Shutdown

from ..debug import debug_log
from ..directory import RunDirectory
from ..ending import INTERRUPTED, Ending, ExitCode
from ..env import Environment, dotenv_warning
from ..flow import Attendance, carry_out
from ..loop import run_loop
from ..preparation import Prepared
from ..results import Run
from .tables import print_summary


def carry(prepared: Prepared, directory: RunDirectory, environment: Environment) -> int:
    """Run to the end, print the summary; returns the exit code."""
    warning = dotenv_warning()
    if warning:
        click.echo(f"warning: {warning}", err=True)
    with debug_log(prepared, directory):
        ending = run_loop(_until_signal(prepared, directory, environment))
    prepared.sweep.tasks.close()
    _close(ending, directory)
    return int(ending.exit_code)


async def _until_signal(prepared: Prepared, directory: RunDirectory, environment: Environment) -> Ending:
    attendance = Attendance(Shutdown(prepared.loaded.config.run.grace_s), on_event=_announce)
    with _signals(attendance):
        return await carry_out(prepared, directory, environment, attendance)


def _announce(event: Mapping[str, JSON]) -> None:
    """What a person would want to know while the run goes on."""
    if event["event"] in {"health", "instance_lost"}:
        evidence = f": {event['evidence']}" if event["evidence"] else ""
        click.echo(f"{event['instance']} is {event['state']}{evidence}", err=True)
    elif event["event"] == "run_stalled":
        click.echo(
            f"no sample has ended for {event['idle_s']:.0f} s; {event['in_flight']} requests are in flight", err=True
        )


@contextmanager
def _signals(attendance: Attendance) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM drains, the second cancels."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        again = attendance.shutdown.draining.is_set()
        click.echo("stopping now" if again else "finishing what is in flight; Ctrl-C again to stop at once", err=True)
        attendance.shutdown.request(INTERRUPTED)

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _close(ending: Ending, directory: RunDirectory) -> None:
    found = Run.load(directory.path)
    rows = found.summary()
    directory.write_summary(rows)
    print_summary(rows)
    for obstacle in found.obstacles() if len({row["model"] for row in rows}) > 1 else ():
        click.echo(str(obstacle))
    click.echo(f"{ending.final} of {ending.total} samples have a final record: {ending.reason}")
    for instance in ending.statistics.instances:
        if instance.evidence:
            click.echo(f"{instance.instance} was lost ({instance.state}): {instance.evidence}")
    if ending.rehearsed_s is not None:
        took_s = ending.statistics.elapsed_s
        click.echo(
            f"rehearsed {ending.rehearsed_s:.1f} s, took {took_s:.1f} s ({100 * (took_s / ending.rehearsed_s - 1):+.1f} %)"
        )
    if ending.possibly_billed_twice:
        click.echo(
            f"possibly billed twice: {ending.possibly_billed_twice} requests were in flight when the run before ended"
        )
    if ending.damaged:
        click.echo(f"{ending.damaged} journal lines were damaged; their samples were run again")
    if ending.exit_code is not ExitCode.DONE:
        click.echo(f"to go on: python -m orchestrator resume {directory.path}")
    click.echo(f"run directory: {directory.path}")
