"""The steps before a run is resumed: its files are verified and repaired if possible; everything else is refused."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from providers.errors import InputError, Refused, RequestTooLarge
from runners.journal.compaction import Compactor, Replay
from runners.journal.sinks.open_sink import open_sink
from runners.journal.sinks.sink import Row
from runners.samples.bitmap import Bitmap
from sharding.planner import SweepPlan

from ...config.own_code import FILE
from ...results.run_directory.directory import Manifest, RunDirectory
from ...results.verify.verification import Damage, Verification
from ...results.verify.verifier import verify

MISJUDGED = "request"
"""The class that versions before 0.2 gave to every unknown refusal, as a failure of the model."""
REFUSALS = frozenset({Refused.error_class, RequestTooLarge.error_class})

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ResumeOptions:
    """The options of a resume."""

    repairs: bool = False
    """Move damaged parts away. Their samples are paid for again, so this is only done on request."""
    only: Literal["infra", "refused"] | None = None
    """Run infrastructure failures again, or only refused samples, and no sample that was never run."""
    changed_code: bool = False
    """Continue with the person's own code as it is now, where it has changed."""
    config: str | None = None
    """A file that replaces the stored configuration; the next resume needs it again."""


@dataclass(frozen=True, slots=True)
class PendingWork:
    """What a run directory holds already, and which of the remaining samples this execution runs."""

    compactor: Compactor
    replay: Replay
    asked: Bitmap | None
    """None for all that are not done."""


def find_pending(directory: RunDirectory, manifest: Manifest, options: ResumeOptions) -> PendingWork:
    """Verify the files of a run and read from them what is left. Raises InputError if they cannot be trusted."""
    compactor = Compactor(directory.journal, open_sink(manifest.storage_format, directory.results))
    make_sound(directory, compactor, repairs=options.repairs)
    replay = compactor.replay(manifest.total)
    if options.only == "refused":
        bring_back(directory, compactor, replay.done)
    return PendingWork(compactor, replay, chosen(options.only, compactor, replay.done))


def require_same(manifest: Manifest, plan: SweepPlan, *, changed_code: bool = False) -> list[str]:
    """Raise InputError with the difference if the directory holds results of another configuration.

    With `changed_code` the person's own code may differ; what has changed of it is returned.
    """
    if manifest.rescored_from is not None:
        raise InputError(
            f"{manifest.run_id} holds the answers of {manifest.rescored_from}, graded again; resume that run, then rescore it"
        )
    before, now = manifest.parts, plan.parts
    others = differences(_without_code(before), _without_code(now))
    changes = differences(before, now)
    if others or (changes and not changed_code):
        correction = "" if others else "After a correction of your own code, continue with --changed-code. "
        raise InputError(
            f"{manifest.run_id} holds results of another configuration ({'; '.join(changes)}); resume it as it was, with the same "
            f"files, solver and scorer, or start a new run. {correction}Where only the grading has changed, `rescore` grades the "
            "stored answers again"
        )
    return changes


def _without_code(parts: Mapping[str, str]) -> dict[str, str]:
    return {name: part for name, part in parts.items() if not _is_code(name)}


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Describe what differs between the parts of two fingerprints."""
    if not any(map(_is_code, before)):  # an older version did not note the person's own code
        now = {name: part for name, part in now.items() if not _is_code(name)}
    changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    return [_difference(name, before.get(name), now.get(name)) for name in changed]


def _is_code(name: str) -> bool:
    return name.startswith((FILE, "source of "))


def _difference(name: str, before: str | None, now: str | None) -> str:
    if not _is_code(name):
        return f"{name} was {before or 'not set'}, is {now or 'not set'}"
    verb = "is new" if before is None else "is no longer used" if now is None else "has changed"
    return f"{name.removeprefix(FILE)} {verb}"


def make_sound(directory: RunDirectory, compactor: Compactor, *, repairs: bool) -> None:
    """Verify the run directory and repair it if allowed. Raises InputError for a damaged part, or for records of another run."""
    verification = verify(directory.path)
    _refuse([damage for damage in verification.damages if damage.kind in {"foreign", "manifest"}], directory)
    parts = [damage for damage in verification.damages if damage.kind == "part"]
    if parts and not repairs:
        _refuse(parts, directory)
    if parts:
        _repair(parts, verification, compactor)
        return make_sound(directory, compactor, repairs=False)
    for damage in verification.damages:
        log.warning("%s", damage)
    return None


def _refuse(damages: Sequence[Damage], directory: RunDirectory) -> None:
    if damages:
        more = f" (and {len(damages) - 1} more: python -m orchestrator verify {directory.path})" if damages[1:] else ""
        raise InputError(f"{directory.path}/{damages[0]}{more}")


def _repair(damages: Sequence[Damage], verification: Verification, compactor: Compactor) -> None:
    for path in compactor.repair({damage.part for damage in damages}, verification.total):
        log.warning(
            "%s is damaged and was set aside as it is; what could be read of it is kept, the rest is run again", path
        )


def chosen(only: Literal["infra", "refused"] | None, compactor: Compactor, done: Bitmap) -> Bitmap | None:
    """Return the samples that a resume with `--only` runs: those whose last record is such a failure; None for all that are open."""
    if only is None:
        return None
    asked = Bitmap(done.size)
    for row in compactor.unresolved(done):
        if row["outcome"] == "infra_failure" and (only == "infra" or row["error_class"] in REFUSALS):
            asked.add(row["ordinal"])
    return asked


def bring_back(directory: RunDirectory, compactor: Compactor, done: Bitmap) -> None:
    """Reclassify refusals that an older version recorded as the model's failure, and mark their samples as not done."""
    for ordinal in compactor.withdraw(directory.superseded, _was_misjudged, _as_refused):
        done.remove(ordinal)


def _was_misjudged(row: Row) -> bool:
    return bool(row["outcome"] == "model_failure" and row["error_class"] == MISJUDGED)


def _as_refused(row: Row) -> Row:
    without_score = dict.fromkeys(("score", "grade", "passed", "score_error", "score_values"))
    return {**row, **without_score, "outcome": "infra_failure", "error_class": Refused.error_class}
