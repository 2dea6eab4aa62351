"""`verify`: prove what a run directory holds, from its files alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ...results.verify.verification import Verification

LISTED = 20
"""Damages that are printed; the JSON document has them all."""


@click.command("verify")
@click.argument("run_directory", type=click.Path(exists=True, file_okay=False))
@click.option("--complete", is_flag=True, help="Also fail (exit code 1) where samples are pending.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def command(run_directory: str, complete: bool, as_json: bool) -> int:
    """Prove that the run in RUN_DIRECTORY holds every planned sample at most once, none of another run, and can be read to the last byte.

    Ends with 0 where that is so, finished or not, and with 1 where something is damaged. Reads only: safe beside a live run.
    """
    from ...results.verify.verifier import verify
    from ...ui.terminal import say_json

    found = verify(run_directory)
    if as_json:
        say_json(found.to_json())
    else:
        _print(found, run_directory)
    return int(not found.is_sound or (complete and found.pending > 0))


def _print(found: Verification, run_directory: str) -> None:
    from ...ui.terminal import say

    said = "sound" if found.is_sound else "damaged"
    if not found.pending:
        say(f"{said}, complete: {found.total:,} of {found.total:,} samples have their final record")
    else:
        open_ = {**found.waiting, "never run": found.never_run}
        counts = ", ".join(f"{count:,} {what}" for what, count in open_.items() if count)
        say(f"{said}, {found.pending:,} of {found.total:,} samples pending ({counts})")
        for one in found.first_pending:
            what = f"{one.model}, {one.prompt_type}, {one.tool_success_rate:g}, epoch {one.epoch}, task {one.task}"
            say(f"  ordinal {one.ordinal} ({what}): {one.outcome or 'never run'}")
        say(f"to go on: python -m orchestrator resume {run_directory}")
    for damage in found.damages[:LISTED]:
        say(str(damage))
    if len(found.damages) > LISTED:
        say(f"… and {len(found.damages) - LISTED} more: --json lists them all")
