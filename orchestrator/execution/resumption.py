"""What comes before a run goes on: its files are verified, what may be repaired is repaired, everything else is refused."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from providers.errors import InputError
from runners.journal.bitmap import Bitmap
from runners.journal.compaction import Compactor, Replay
from runners.journal.sinks.sink import open_sink
from sharding.planner import SweepPlan

from ..results.directory import Manifest, RunDirectory
from ..results.verify.verification import Damage, Verification, verify

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ResumeOptions:
    """What a resume is asked beside going on."""

    repairs: bool = False
    """Set damaged parts aside: their samples are paid for again, so it is never done unasked."""
    only_infra: bool = False
    """Run infrastructure failures again, and nothing that was never run."""
    config: str | None = None
    """A file in place of the stored configuration; the next resume needs it again."""


@dataclass(frozen=True, slots=True)
class PendingWork:
    """What a run directory holds already, and what of the rest this execution is to run."""

    compactor: Compactor
    replay: Replay
    asked: Bitmap | None
    """None: everything that is not done."""


def find_pending(directory: RunDirectory, manifest: Manifest, options: ResumeOptions) -> PendingWork:
    """Verify the files of a run and read from them what is left. Raises InputError where that is not to be trusted."""
    compactor = Compactor(directory.journal, open_sink(manifest.storage_format, directory.results))
    make_sound(directory, compactor, repairs=options.repairs)
    replay = compactor.replay(manifest.total)
    return PendingWork(compactor, replay, infra_failures(compactor, replay.done) if options.only_infra else None)


def require_same(manifest: Manifest, plan: SweepPlan) -> None:
    """Raise InputError where the directory holds results of another configuration, with the difference."""
    if manifest.fingerprint == plan.fingerprint:
        return
    changed = sorted(name for name, part in plan.parts.items() if manifest.parts.get(name) != part)
    shown = "; ".join(f"{name} was {manifest.parts.get(name)}, is {plan.parts[name]}" for name in changed)
    raise InputError(
        f"{manifest.run_id} holds results of another configuration ({shown}); "
        "resume it as it was, with the same solver and scorer, or start a new run"
    )


def make_sound(directory: RunDirectory, compactor: Compactor, *, repairs: bool) -> None:
    """Raises InputError where records of another run stand here, or where a part is damaged and must not be repaired."""
    found = verify(directory.path)
    _refuse([damage for damage in found.damages if damage.kind in {"foreign", "manifest"}], directory)
    parts = [damage for damage in found.damages if damage.kind == "part"]
    if parts and not repairs:
        _refuse(parts, directory)
    if parts:
        _repair(parts, found, compactor)
        return make_sound(directory, compactor, repairs=False)
    for damage in found.damages:
        log.warning("%s", damage)
    return None


def _refuse(damages: Sequence[Damage], directory: RunDirectory) -> None:
    if damages:
        more = f" (and {len(damages) - 1} more: python -m orchestrator verify {directory.path})" if damages[1:] else ""
        raise InputError(f"{directory.path}/{damages[0]}{more}")


def _repair(damages: Sequence[Damage], found: Verification, compactor: Compactor) -> None:
    for path in compactor.repair({damage.part for damage in damages}, found.total):
        log.warning(
            "%s is damaged and was set aside as it is; what could be read of it is kept, the rest is run again", path
        )


def infra_failures(compactor: Compactor, done: Bitmap) -> Bitmap:
    """The samples whose last record is an infrastructure failure."""
    found = Bitmap(done.size)
    for row in compactor.unresolved(done):
        if row["outcome"] == "infra_failure":
            found.add(row["ordinal"])
    return found
