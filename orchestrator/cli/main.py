"""The command group. Heavy imports wait for the command that needs them, so `--help` is quick."""

from __future__ import annotations

import io
import sys

import click

from .lazy import LazyGroup

COMMANDS = {
    "bench": ("load_tests.group", "Find how many concurrent requests an endpoint carries."),
    "capacity": ("capacity", "Say what a capacity plan brings, and hold it against a ladder's measurement."),
    "compare": ("stored.compare", "Say which of two models, prompt types or runs is better, and how sure that is."),
    "doctor": ("sweeps.doctor", "Check every instance with one small request and say what is wrong."),
    "limits": ("limits", "Show or clear what was learnt about limits."),
    "export": ("stored.export", "Write a run's records as JSONL, CSV, Parquet or OpenAI Batch output."),
    "plan": ("sweeps.plan", "Print who would do what; nothing is sent."),
    "report": ("stored.report", "Write a run as one page to show and to read, or as Markdown or JSON."),
    "resume": ("sweeps.resume", "Go on with a run where it stopped."),
    "run": ("sweeps.run", "Run a sweep."),
    "simulator": ("simulator", "Serve a file's simulated providers until Ctrl-C."),
    "status": ("stored.status", "Say how far a run is and what is missing."),
    "verify": ("stored.verify", "Prove that a run's files are whole: each sample once, none of another run."),
}


@click.command(cls=LazyGroup, rows=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="llm-batch-orchestrator")
def group() -> None:
    """Multi-provider batch test orchestrator for LLM evaluation.

    Exit codes: 0 all done, 1 done with failed samples, 2 usage or configuration, 3 stopped by a limit, 4 no usable instance,
    130 interrupted. Runs that end with 3, 4 or 130 can be resumed.
    """


def main() -> None:
    """Run a command; what a person got wrong is one sentence on standard error and exit code 2."""
    try:
        sys.exit(group.main(standalone_mode=False))
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        _complain(error)
        sys.exit(2)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except Exception as error:  # noqa: BLE001 - told apart below
        _explain(error)


def _complain(error: click.ClickException) -> None:
    """What click says of a wrong call; it repeats what was typed."""
    from ..ui.terminal import say_lines

    said = io.StringIO()
    error.show(said)
    say_lines(said.getvalue(), err=True)


def _explain(error: Exception) -> None:
    """Errors that we raise on purpose are sentences; anything else is a bug and keeps its traceback."""
    from providers.errors import InputError, OrchestratorError

    from ..ui.terminal import say, say_traceback

    if not isinstance(error, OrchestratorError):
        say_traceback(error)
        sys.exit(1)
    say(f"error: {error}", err=True)
    sys.exit(2 if isinstance(error, InputError) else 3)
