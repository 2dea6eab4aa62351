"""The command group. A command imports its modules when it is called, so that `--help` is fast."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

import click

from ..ui.lasting_output import make_output_lasting
from .lazy import LazyGroup

COMMANDS = {
    "bench": ("load_tests.group", "Measure how many concurrent requests an endpoint sustains."),
    "cache": ("cache", "Show, clear or fill the cache of answers."),
    "capacity": ("capacity", "Compute the gain of a capacity plan and compare it with the measurements of a ladder."),
    "compare": ("stored.compare", "Compare models, prompt types or runs, with confidence intervals."),
    "doctor": ("sweeps.doctor", "Check every instance with one small request and explain what is wrong."),
    "limits": ("limits", "Show or clear the learned rate limits."),
    "export": ("stored.export", "Write a run's records as JSONL, CSV, Parquet or OpenAI Batch output."),
    "plan": ("sweeps.plan", "Print the plan of a sweep without sending anything."),
    "report": ("stored.report", "Write a report of a run as one HTML page, Markdown or JSON."),
    "rescore": ("stored.rescore", "Grade the stored answers of a run again, with another scorer, targets or weights."),
    "resume": ("sweeps.resume", "Continue a stopped run."),
    "run": ("sweeps.run", "Run a sweep."),
    "simulator": ("simulator", "Serve the simulated providers of a file until Ctrl-C."),
    "status": ("stored.status", "Show the progress of a run."),
    "verify": (
        "stored.verify",
        "Verify the files of a run: every sample at most once, no damage, no records of other runs.",
    ),
}


@click.command(cls=LazyGroup, rows=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="llm-batch-orchestrator")
def group() -> None:
    """Run LLM evaluations as batches over several providers, and read their results.

    Exit codes: 0 all done, 1 done with failed samples, 2 usage or configuration, 3 stopped by a limit or the disk, 4 no usable instance,
    130 interrupted. Runs that end with 3, 4 or 130 can be resumed.
    """


def main() -> None:
    """Run a command. An error of the user is printed as one sentence on standard error, with exit code 2."""
    make_output_lasting()
    try:
        _require_utf_8(sys.argv[1:])
        sys.exit(group.main(standalone_mode=False))
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        _complain(error)
        sys.exit(2)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except Exception as error:  # noqa: BLE001 - _explain distinguishes them
        _explain(error)


def _require_utf_8(arguments: Sequence[str]) -> None:
    """Raise UsageError where a name is no UTF-8: Parquet and JSON cannot hold it."""
    for argument in arguments:
        shown = argument.encode("utf-8", "replace").decode()
        if shown != argument:
            raise click.UsageError(f"{shown} is not UTF-8 text; give the file or folder a name that is")


def _complain(error: click.ClickException) -> None:
    """Print click's message for a wrong command line. It may repeat what was typed, so control characters are removed."""
    from ..ui.terminal import say_lines

    message = io.StringIO()
    error.show(message)
    say_lines(message.getvalue(), err=True)


def _explain(error: Exception) -> None:
    """Print an error of this program as one sentence, and any other error, which is a bug, with its traceback; then exit."""
    from providers.errors import InputError, OrchestratorError
    from runners.durable import is_of_disk

    from ..ui.terminal import say, say_traceback

    if isinstance(error, OSError) and is_of_disk(error):
        say(
            f"error: cannot read or write {error.filename or 'a file'}: {error.strerror}; check the disk and its permissions",
            err=True,
        )
        sys.exit(3)
    if not isinstance(error, OrchestratorError):
        say_traceback(error)
        sys.exit(1)
    say(f"error: {error}", err=True)
    sys.exit(2 if isinstance(error, InputError) else 3)
