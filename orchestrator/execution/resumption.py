"""What comes before a run goes on: its files are verified, what may be repaired is repaired, everything else is refused."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from providers.errors import InputError
from runners.journal.bitmap import Bitmap
from runners.journal.compaction import Compactor

from ..results.directory import RunDirectory
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
