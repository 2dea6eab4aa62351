"""The common part of `run` and `resume`: signals, the log, the summary and the last lines."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from providers.errors import StorageError
from runners.calls.budget import Spending, shown
from runners.durable import storing
from runners.event_loop.run_loop import run_loop
from runners.event_loop.shutdown import Shutdown
from runners.samples.in_flight_samples import Wait

from ...config.environment import Environment
from ...execution.answer_cache import cache_sentence
from ...execution.context import RunContext, RunHooks
from ...execution.debug import debug_log
from ...execution.execute import execute
from ...execution.history.outcome import ExitCode, RunOutcome
from ...execution.history.resumption import ResumeOptions
from ...results.run import Run
from ...results.run_directory.directory import RunDirectory
from ...ui.terminal import say, tame_the_log
from ..options import show_warnings
from ..signals import stopping
from ..tables import print_summary

REMEDY = "move code that blocks or computes for long into `await asyncio.to_thread(...)`; three times Ctrl-C ends it"


def carry(
    context: RunContext, directory: RunDirectory, environment: Environment, resumption: ResumeOptions | None = None
) -> int:
    """Run the samples, print the summary and return the exit code."""
    resumption = resumption or ResumeOptions()
    to_go_on = _to_go_on(directory, resumption)
    tame_the_log()
    show_warnings([*environment.warnings, *context.loaded.warnings()])
    try:
        with debug_log(context, directory):
            run_outcome = run_loop(_until_signal(context, directory, environment, resumption))
        with storing(directory.path, of_disk=True):
            _close(run_outcome, directory, _after_correction(run_outcome, directory, resumption) or [to_go_on])
    except StorageError as error:
        say(f"error: {error}", err=True)
        say(to_go_on)
        say(f"run directory: {directory.path}")
        return int(ExitCode.STOPPED)
    except (
        KeyboardInterrupt
    ):  # while the loop starts or the summary is computed: all records are written by then, or none exist
        say(to_go_on, err=True)
        return int(ExitCode.INTERRUPTED)
    finally:
        context.sweep.tasks.close()
    return int(run_outcome.exit_code)


async def _until_signal(
    context: RunContext, directory: RunDirectory, environment: Environment, resumption: ResumeOptions
) -> RunOutcome:
    grace_s = context.config.run.grace_s
    hooks = RunHooks(Shutdown(grace_s), on_event=_announce, resumption=resumption)
    with stopping(hooks.shutdown, grace_s, _to_go_on(directory, resumption)):
        return await execute(context, directory, environment, hooks)


def _announce(event: Mapping[str, Any]) -> None:
    """Print an event of the active run on standard error."""
    if event["event"] in {"health", "instance_lost"}:
        evidence = f": {event['evidence']}" if event["evidence"] else ""
        say(f"{event['instance']} is {event['state']}{evidence}", err=True)
    elif event["event"] in {"drift", "quota_shared", "open_files", "refusals"}:
        say(f"warning: {event['evidence']}", err=True)
    elif event["event"] == "answer_floor":
        say(f"warning: {event['instance']}: {event['evidence']}", err=True)
    elif event["event"] == "drift_unknown":
        say(f"warning: the drift check has too little data on {event['instance']}, which {event['evidence']}", err=True)
    elif event["event"] == "run_stalled":
        say(f"no sample has ended for {event['idle_s']:.0f} s; {event['in_flight']} requests are in flight", err=True)
        for wait in event["waits"]:
            say(f"  {Wait(**wait).sentence()}", err=True)
    elif event["event"] == "loop_blocked":
        say(
            f"the event loop has been blocked for {event['blocked_s']:.0f} s at {event['at_line']} ({event['by']}); {REMEDY}",
            err=True,
        )
    elif event["event"] == "budget_near":
        say(f"the {event['budget']} limit is near: {event['evidence']}", err=True)


def _to_go_on(directory: RunDirectory, resumption: ResumeOptions) -> str:
    arguments = [
        str(directory.path),
        *(("-c", resumption.config) if resumption.config else ()),
        *(["--changed-code"] if resumption.changed_code else []),
    ]
    return f"to go on: python -m orchestrator resume {shlex.join(arguments)}"


def _after_correction(run_outcome: RunOutcome, directory: RunDirectory, resumption: ResumeOptions) -> list[str]:
    """Return lines that tell how to go on where a person's own code has failed; none where it has not."""
    if not run_outcome.statistics.outcomes.get("not_run"):
        return []
    corrected = _to_go_on(directory, replace(resumption, changed_code=True)).removeprefix("to go on: ")
    return [
        f"to go on, after the correction of your own code: {corrected}",
        f"where only the scorer failed, the answers are stored: python -m orchestrator rescore {directory.path} grades them",
    ]


def _close(run_outcome: RunOutcome, directory: RunDirectory, to_go_on: Sequence[str]) -> None:
    run = Run.load(directory.path)
    rows = run.summary()
    directory.write_summary(rows)
    for line in (*run_outcome.refusals, *run.doubts()):
        say(f"warning: {line}")
    print_summary(rows)
    for obstacle in run.obstacles() if len({row["model"] for row in rows}) > 1 else ():
        say(str(obstacle))
    say(f"{run_outcome.final} of {run_outcome.total} samples have a final record: {run_outcome.reason}")
    for line in (*run_outcome.refused, *run.drifts(), *_instance_lines(run_outcome), *_spending_lines(run_outcome)):
        say(line)
    if run_outcome.damaged:
        say(f"{run_outcome.damaged} journal lines were damaged; their samples were run again")
    for line in to_go_on if run_outcome.exit_code is not ExitCode.DONE else ():
        say(line)
    say(f"run directory: {directory.path}")


def _instance_lines(run_outcome: RunOutcome) -> Iterator[str]:
    """Yield a line for every lost instance, and one that compares the duration with the rehearsed one."""
    for instance in run_outcome.statistics.instances:
        if instance.evidence:
            yield f"{instance.instance} was lost ({instance.state}): {instance.evidence}"
    if run_outcome.rehearsed_s is not None:
        took_s = run_outcome.statistics.elapsed_s
        deviation = 100 * (took_s / run_outcome.rehearsed_s - 1)
        yield f"rehearsed {run_outcome.rehearsed_s:.1f} s, took {took_s:.1f} s ({deviation:+.1f} %)"


def _amounts(spending: Spending) -> str:
    cost = f", {shown(spending.cost_usd)} USD" if spending.cost_usd else ""
    return f"{spending.tokens:,} tokens{cost}"


def _spending_lines(run_outcome: RunOutcome) -> Iterator[str]:
    """Yield lines on the spending, the retry budget and requests that may be billed without a record."""
    for share in run_outcome.statistics.shares:
        yield f"spent: {share} ({share.spent / share.limit:.1%})"
    if run_outcome.cache is not None:
        yield cache_sentence(run_outcome.cache, run_outcome.statistics.saved_usd)
    if run_outcome.exit_code is ExitCode.STOPPED and not run_outcome.statistics.shares:
        yield f"spent over all executions: {_amounts(run_outcome.spent)}"
    if run_outcome.retries_refused:
        yield f"the run's retry budget was used up: {run_outcome.retries_refused} failures were not tried again"
    if run_outcome.presumed.tokens:
        yield (
            f"possibly billed: {_amounts(run_outcome.presumed)} were reserved by executions that were killed, and count as spent; "
            "a larger limit lets the run go on"
        )
    if run_outcome.unanswered:
        yield f"possibly billed without a record: {run_outcome.unanswered} requests were sent and their usage is unknown"
    if run_outcome.possibly_billed_twice:
        yield f"possibly billed twice: {run_outcome.possibly_billed_twice} requests were in flight when the previous execution ended"
