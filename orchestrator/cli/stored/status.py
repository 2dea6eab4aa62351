"""`status`: show the progress of a run, from its files alone."""

from __future__ import annotations

import click


@click.command("status")
@click.argument("run_directory", type=click.Path(exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def command(run_directory: str, as_json: bool) -> int:
    """Show the progress of the run in RUN_DIRECTORY: records by outcome and instance, and how its executions ended."""
    from runners.samples.in_flight_samples import Wait, clock_time

    from ...results.status import status_of
    from ...ui.terminal import say, say_json
    from ..tables import print_table

    status = status_of(run_directory)
    if as_json:
        say_json(status)
        return 0
    say(
        f"{status['final']} of {status['total']} samples have a final record; {status['in_journal']} are still in the journal"
    )
    print_table("", ("outcome", "samples"), list(status["outcomes"].items()))
    print_table("", ("instance", "records"), list(status["instances"].items()))
    if (stalled := status["stalled"]) is not None:
        say(f"at {clock_time(stalled['at'])} no sample had ended for {stalled['idle_s']:.0f} s:")
        for wait in stalled["waits"]:
            say(f"  {Wait(**wait).sentence()}")
    for execution in status["executions"]:
        say(f"an execution ended with exit code {execution['exit_code']}: {execution['reason']}")
    return 0
