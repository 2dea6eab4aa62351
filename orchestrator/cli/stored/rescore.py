"""`rescore`: grade the stored answers of a run again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ..options import trust_option

if TYPE_CHECKING:
    from ...rescoring.rescore import Rescored
    from ...scoring.setting import ScorerSetting


@click.command("rescore")
@click.argument("run_directory", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--scorer",
    help="The scorer of all answers: a name, '{name: numeric, tolerance: 0.01}' or module:function. By default those of the run.",
)
@click.option(
    "--targets",
    type=click.Path(exists=True, dir_okay=False),
    help="Targets by task id, in place of those of the task files: JSON Lines or CSV with the columns id and target.",
)
@click.option(
    "--weights", metavar="YAML", help="scoring.weights of the weighted score, e.g. '{grades: {partial: 0.5}}'."
)
@click.option("--config", "-c", type=click.Path(), help="Take scorers and weights from this sweep file.")
@click.option(
    "--output-dir", "-o", type=click.Path(), help="The folder of the new run directory. By default that of the run."
)
@trust_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def command(
    run_directory: str,
    scorer: str | None,
    targets: str | None,
    weights: str | None,
    config: str | None,
    output_dir: str | None,
    trust: bool,
    as_json: bool,
) -> int:
    """Grade the stored answers of RUN_DIRECTORY with the scorers, targets and weights of now. Nothing is sent.

    The result is a new run directory beside the old one, which stays as it is. Answers that are not stored cannot be graded (samples
    that failed), and a scorer that asks a model is refused.
    """
    from pathlib import Path

    from ...config.environment import SettingOverride, read_environment
    from ...execution.history.trust import SCORERS, require_trusted
    from ...rescoring.request import Request, load_for_rescoring
    from ...rescoring.rescore import rescore
    from ...rescoring.targets import read_targets
    from ...results.run_directory.directory import RunDirectory
    from ..signals import interruptible

    with interruptible("interrupted; nothing was written, the run is as it was"):
        directory = RunDirectory(Path(run_directory))
        if config is None:
            require_trusted(directory, "rescore", SCORERS if scorer else (), is_given=trust)
        environment = read_environment(config or Path(directory.read_manifest().base) / "sweep.yaml")
        flags = [SettingOverride("scoring.weights", weights, "--weights")] if weights else []
        loaded = load_for_rescoring(directory, environment, flags, config, _setting(scorer))
        request = Request(
            loaded,
            read_targets(Path(targets)) if targets else {},
            output_dir=Path(output_dir) if output_dir else None,
        )
        rescored = rescore(directory.path, request, _announce_blocked)
        _show(rescored, as_json=as_json)
    return 0


def _setting(scorer: str | None) -> ScorerSetting | None:
    """Read the scorer as it would stand in the file."""
    if scorer is None or not scorer.lstrip().startswith("{"):
        return scorer
    from sharding.yaml_text import UNREADABLE, load_yaml

    try:
        setting: ScorerSetting = load_yaml(scorer)
    except UNREADABLE as error:
        raise click.UsageError(f"--scorer {scorer!r} is no name and no YAML mapping") from error
    return setting


def _announce_blocked(evidence: Mapping[str, Any]) -> None:
    from ...ui.terminal import say

    say(
        f"a scorer has been running for {evidence['blocked_s']:.0f} s at {evidence['at_line']}; Ctrl-C ends it",
        err=True,
    )


def _show(rescored: Rescored, *, as_json: bool) -> None:
    from ...results.compare.document import contrast_row
    from ...ui.terminal import say, say_json
    from ..tables import print_summary, print_table

    comparison = rescored.comparison()
    if as_json:
        contrasts = [] if isinstance(comparison, str) else [contrast_row(contrast) for contrast in comparison.contrasts]
        say_json({**rescored.as_json(), "contrasts": contrasts})
        return
    print_summary(rescored.after.summary())
    for line in _lines(rescored):
        say(line)
    if isinstance(comparison, str):
        say(comparison)
    else:
        table = comparison.table()
        print_table(table.title, table.columns, table.rows)
    say(f"run directory: {rescored.after.path}")


def _lines(rescored: Rescored) -> Sequence[str]:
    missing = f"; {rescored.without_answer:,} samples have no stored answer" if rescored.without_answer else ""
    changed = [
        f"{count:,} {before} → {now}" for (before, now), count in sorted(rescored.changes.items()) if before != now
    ]
    return [
        f"graded {rescored.graded:,} stored answers again, nothing was sent{missing}",
        f"what changed: {'; '.join(rescored.differences) or 'nothing in the scorers, their code and the targets'}",
        f"grades: {', '.join(changed) or 'all as before'}",
        *rescored.weighted_scores(),
    ]
