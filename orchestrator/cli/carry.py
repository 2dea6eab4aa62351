"""What `run` and `resume` share: signals, the log, the summary and the last line."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

import click

from providers.errors import StorageError
from providers.messages import JSON
from runners.shutdown import Shutdown

from ..debug import debug_log
from ..directory import RunDirectory
from ..ending import Ending, ExitCode
from ..env import Environment, dotenv_warning
from ..flow import Attendance, carry_out
from ..loop import run_loop
from ..preparation import Prepared
from ..results import Run
from ..resumption import Resumption
from .signals import stopping
from .tables import print_summary


def carry(
    prepared: Prepared, directory: RunDirectory, environment: Environment, resumption: Resumption | None = None
) -> int:
    """Run to the end, print the summary; returns the exit code."""
    warning = dotenv_warning()
    if warning:
        click.echo(f"warning: {warning}", err=True)
    try:
        with debug_log(prepared, directory):
            ending = run_loop(_until_signal(prepared, directory, environment, resumption or Resumption()))
        _close(ending, directory)
    except StorageError as error:
        click.echo(f"error: {error}", err=True)
        click.echo(_to_go_on(directory))
        click.echo(f"run directory: {directory.path}")
        return int(ExitCode.STOPPED)
    except (
        KeyboardInterrupt
    ):  # while the loop starts, or while the summary is made: everything is written, or nothing is
        click.echo(_to_go_on(directory), err=True)
        return int(ExitCode.INTERRUPTED)
    finally:
        prepared.sweep.tasks.close()
    return int(ending.exit_code)


async def _until_signal(
    prepared: Prepared, directory: RunDirectory, environment: Environment, resumption: Resumption
) -> Ending:
    grace_s = prepared.loaded.config.run.grace_s
    attendance = Attendance(Shutdown(grace_s), on_event=_announce, resumption=resumption)
    with stopping(attendance.shutdown, grace_s, _to_go_on(directory)):
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


def _to_go_on(directory: RunDirectory) -> str:
    return f"to go on: python -m orchestrator resume {shlex.quote(str(directory.path))}"


def _close(ending: Ending, directory: RunDirectory) -> None:
    found = Run.load(directory.path)
    rows = found.summary()
    directory.write_summary(rows)
    print_summary(rows)
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
        click.echo(_to_go_on(directory))
    click.echo(f"run directory: {directory.path}")
