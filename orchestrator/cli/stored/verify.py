"""`verify`: verify a run directory from its files alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ...results.verify.verification import Verification

LISTED = 20
"""The maximum number of damages that are printed. The JSON document has all of them."""


@click.command("verify")
@click.argument("run_directory", type=click.Path(exists=True, file_okay=False))
@click.option("--complete", is_flag=True, help="Also exit with 1 where samples are pending.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def command(run_directory: str, complete: bool, as_json: bool) -> int:
    """Verify that the run in RUN_DIRECTORY holds every planned sample at most once, none of another run, and that every byte is readable.

    Exits with 0 where that is so, whether the run is finished or not, and with 1 where something is damaged. Changes nothing and can be
    called while the run is active.
    """
    from ...results.verify.verifier import verify
    from ...ui.terminal import say_json

    verification = verify(run_directory)
    if as_json:
        say_json(verification.to_json())
    else:
        _print(verification, run_directory)
    return int(not verification.is_sound or (complete and verification.pending > 0))


def _print(verification: Verification, run_directory: str) -> None:
    from pathlib import Path

    from ...results.run_directory.directory import RunDirectory
    from ...ui.terminal import say

    state, total = "sound" if verification.is_sound else "damaged", verification.total
    if not verification.pending:
        say(f"{state}, complete: {total:,} of {total:,} samples have their final record")
    else:
        waiting = {**verification.waiting, "never run": verification.never_run}
        counts = ", ".join(f"{count:,} {outcome}" for outcome, count in waiting.items() if count)
        say(f"{state}, {verification.pending:,} of {total:,} samples pending ({counts})")
        for pending in verification.first_pending:
            cell = f"{pending.model}, {pending.prompt_type}, {pending.tool_success_rate:g}"
            say(
                f"  ordinal {pending.ordinal} ({cell}, epoch {pending.epoch}, task {pending.task}): {pending.outcome or 'never run'}"
            )
        source = RunDirectory(Path(run_directory)).read_manifest().rescored_from
        corrected = (
            " --changed-code  (after the correction of your own code)" if verification.waiting.get("not_run") else ""
        )
        to_go_on = f"python -m orchestrator resume {run_directory}{corrected}"
        say(f"to go on: resume {source}, then rescore it again" if source else f"to go on: {to_go_on}")
    for damage in verification.damages[:LISTED]:
        say(str(damage))
    if len(verification.damages) > LISTED:
        say(f"… and {len(verification.damages) - LISTED} more: --json lists them all")
