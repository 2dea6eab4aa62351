"""What `run` and `resume` share: signals, the log, the summary and the last line."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from providers.errors import StorageError
from runners.open_samples import Wait
from runners.shutdown import Shutdown
from runners.spending import shown

from ..debug import debug_log
from ..directory import RunDirectory
from ..ending import Ending, ExitCode
from ..env import Environment
from ..flow import Attendance, carry_out
from ..loop import run_loop
from ..preparation import Prepared
from ..results import Run
from ..resumption import Resumption
from ..terminal import say, tame_the_log
from .options import show_warnings
from .signals import stopping
from .tables import print_summary

REMEDY = "code that blocks or computes for long belongs into `await asyncio.to_thread(...)`"


def carry(
    prepared: Prepared, directory: RunDirectory, environment: Environment, resumption: Resumption | None = None
) -> int:
    """Run to the end, print the summary; returns the exit code."""
    resumption = resumption or Resumption()
    to_go_on = _to_go_on(directory, resumption)
    tame_the_log()
    show_warnings([*environment.warnings, *prepared.loaded.warnings()])
    try:
        with debug_log(prepared, directory):
            ending = run_loop(_until_signal(prepared, directory, environment, resumption))
        _close(ending, directory, to_go_on)
    except StorageError as error:
        say(f"error: {error}", err=True)
        say(to_go_on)
        say(f"run directory: {directory.path}")
        return int(ExitCode.STOPPED)
    except KeyboardInterrupt:  # while the loop starts, or the summary is made: everything is written, or nothing is
        say(to_go_on, err=True)
        return int(ExitCode.INTERRUPTED)
    finally:
        prepared.sweep.tasks.close()
    return int(ending.exit_code)


async def _until_signal(
    prepared: Prepared, directory: RunDirectory, environment: Environment, resumption: Resumption
) -> Ending:
    grace_s = prepared.loaded.config.run.grace_s
    attendance = Attendance(Shutdown(grace_s), on_event=_announce, resumption=resumption)
    with stopping(attendance.shutdown, grace_s, _to_go_on(directory, resumption)):
        return await carry_out(prepared, directory, environment, attendance)


def _announce(event: Mapping[str, Any]) -> None:
    """What a person would want to know while the run goes on."""
    if event["event"] in {"health", "instance_lost"}:
        evidence = f": {event['evidence']}" if event["evidence"] else ""
        say(f"{event['instance']} is {event['state']}{evidence}", err=True)
    elif event["event"] in {"drift", "refusals"}:
        say(f"warning: {event['evidence']}", err=True)
    elif event["event"] == "drift_unknown":
        say(f"warning: the drift check knows too little of {event['instance']}, which {event['evidence']}", err=True)
    elif event["event"] == "run_stalled":
        say(f"no sample has ended for {event['idle_s']:.0f} s; {event['in_flight']} requests are in flight", err=True)
        for wait in event["waits"]:
            say(f"  {Wait(**wait).sentence()}", err=True)
    elif event["event"] == "loop_blocked":
        say(
            f"everything has stood still for {event['blocked_s']:.0f} s at {event['at_line']} ({event['by']}); {REMEDY}",
            err=True,
        )
    elif event["event"] == "budget_near":
        say(f"the {event['budget']} limit is near: {event['evidence']}", err=True)


def _to_go_on(directory: RunDirectory, resumption: Resumption) -> str:
    words = [str(directory.path), *(("-c", resumption.config) if resumption.config else ())]
    return f"to go on: python -m orchestrator resume {shlex.join(words)}"


def _close(ending: Ending, directory: RunDirectory, to_go_on: str) -> None:
    found = Run.load(directory.path)
    rows = found.summary()
    directory.write_summary(rows)
    for line in ending.refusals:
        say(f"warning: {line}")
    print_summary(rows)
    for obstacle in found.obstacles() if len({row["model"] for row in rows}) > 1 else ():
        say(str(obstacle))
    say(f"{ending.final} of {ending.total} samples have a final record: {ending.reason}")
    for line in (*ending.refused, *found.drifts(), *_of_instances(ending), *_of_spending(ending)):
        say(line)
    if ending.damaged:
        say(f"{ending.damaged} journal lines were damaged; their samples were run again")
    if ending.exit_code is not ExitCode.DONE:
        say(to_go_on)
    say(f"run directory: {directory.path}")


def _of_instances(ending: Ending) -> Iterator[str]:
    """Which were lost, and how the time compares with the rehearsed one."""
    for instance in ending.statistics.instances:
        if instance.evidence:
            yield f"{instance.instance} was lost ({instance.state}): {instance.evidence}"
    if ending.rehearsed_s is not None:
        took_s = ending.statistics.elapsed_s
        deviation = 100 * (took_s / ending.rehearsed_s - 1)
        yield f"rehearsed {ending.rehearsed_s:.1f} s, took {took_s:.1f} s ({deviation:+.1f} %)"


def _of_spending(ending: Ending) -> Iterator[str]:
    """What was spent of its limits, and what may have been paid for nothing."""
    for share in ending.statistics.shares:
        yield f"spent: {share} ({share.spent / share.limit:.1%})"
    if ending.exit_code is ExitCode.STOPPED and not ending.statistics.shares:
        cost = f", {shown(ending.spent.cost_usd)} USD" if ending.spent.cost_usd else ""
        yield f"spent over all executions: {ending.spent.tokens:,} tokens{cost}"
    if ending.retries_refused:
        yield f"the run's retry budget was used up: {ending.retries_refused} failures were not tried again"
    if ending.unanswered:
        yield f"possibly billed without a record: {ending.unanswered} requests were sent and brought no word on usage"
    if ending.possibly_billed_twice:
        yield f"possibly billed twice: {ending.possibly_billed_twice} requests were in flight when the run before ended"
