"""The end of an execution: the exit code, the reason in one line, and what a resume would find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from providers.messages import JSON
from runners.cache.answer_cache import CacheCounts
from runners.calls.budget import NOTHING, Spending
from runners.dispatch.dispatcher import NoUsableInstance
from runners.event_loop.shutdown import Shutdown
from runners.samples.bitmap import Bitmap
from runners.samples.monitor import RunStatistics
from runners.samples.record import FINAL

from ...results.run_directory.directory import Manifest


class ExitCode(IntEnum):
    """The process exit code of a run."""

    DONE = 0
    DONE_WITH_FAILURES = 1
    USAGE = 2
    STOPPED = 3
    NO_INSTANCE = 4
    INTERRUPTED = 130


INTERRUPTED = "interrupted"
"""The reason for a stop by a signal."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The result of one execution of a run: its exit code, counts, spending and findings."""

    exit_code: ExitCode
    reason: str
    total: int
    final: int
    """Samples with a final record, over all executions."""
    statistics: RunStatistics
    spent: Spending = NOTHING
    """Over all executions."""
    presumed: Spending = NOTHING
    """The part of it that killed executions had reserved and no record shows: it may not have been billed."""
    unanswered: int = 0
    """Requests that were sent without a report of usage: they may have been billed. `spent` counts an estimate if there is a limit."""
    retries_refused: int = 0
    """Failures that were not tried again because the run's retry budget was used up."""
    possibly_billed_twice: int = 0
    damaged: int = 0
    refusals: tuple[str, ...] = ()
    """One sentence for each model with more refused, unreadable or ungradable samples than a sweep should accept."""
    refused: tuple[str, ...] = ()
    """What servers refused, in their words."""
    drifts: tuple[str, ...] = ()
    """Instances that may serve another model than the one requested, a sentence each."""
    is_drift_checked: bool = False
    """Whether this execution asked the canaries and got answers."""
    rehearsed_s: float | None = None
    """The forecast of a rehearsal."""
    cache: CacheCounts | None = None
    """None where the run had no cache."""

    @property
    def is_complete(self) -> bool:
        """Whether every sample has a final record."""
        return self.final == self.total

    def as_row(self) -> Mapping[str, JSON]:
        """Return the outcome as a JSON row of the run's list of executions."""
        return {
            "exit_code": int(self.exit_code),
            "reason": self.reason,
            "final": self.final,
            "total": self.total,
            "spent_tokens": self.spent.tokens,
            "spent_usd": self.spent.cost_usd,
            "presumed_tokens": self.presumed.tokens,
            "presumed_usd": self.presumed.cost_usd,
            "unanswered": self.unanswered,
            "retries_refused": self.retries_refused,
            "possibly_billed_twice": self.possibly_billed_twice,
            "damaged_lines": self.damaged,
            "elapsed_s": self.statistics.elapsed_s,
            "refusals": list(self.refusals),
            "refused": list(self.refused),
            "drifts": list(self.drifts),
            "drift_checked": self.is_drift_checked,
            "rehearsed_s": self.rehearsed_s,
            **({"cache_hits": self.cache.hits, "cache_asked": self.cache.asked} if self.cache else {}),
        }


@dataclass(frozen=True, slots=True)
class PendingCounts:
    """Samples without a final record."""

    asked: int
    """Samples that this execution was to run."""
    left_out: int = 0
    """Samples that `--only` left out."""


def count_pending(done: Bitmap, asked: Bitmap | None) -> PendingCounts:
    """Count the samples without a final record; those outside `asked` are counted as left out."""
    left = done.size - done.count
    if asked is None:
        return PendingCounts(left)
    failed_again = sum(ordinal in asked and ordinal not in done for ordinal in range(done.size))
    return PendingCounts(failed_again, left - failed_again)


def outcome_of(
    manifest: Manifest,
    still_open: PendingCounts,
    statistics: RunStatistics,
    shutdown: Shutdown,
    lost: Sequence[NoUsableInstance],
) -> RunOutcome:
    """Build the outcome of an execution, with its exit code and the reason for it."""
    code, reason = _judge(still_open, statistics, shutdown, lost)
    final = manifest.total - still_open.asked - still_open.left_out
    return RunOutcome(code, reason, manifest.total, final, statistics)


def _judge(
    still_open: PendingCounts, statistics: RunStatistics, shutdown: Shutdown, lost: Sequence[NoUsableInstance]
) -> tuple[ExitCode, str]:
    if still_open.asked == 0 and still_open.left_out == 0:
        return ExitCode.DONE, "every sample has its record"
    if lost:
        return ExitCode.NO_INSTANCE, "; ".join(str(error) for error in lost)
    if shutdown.reason == INTERRUPTED:
        return ExitCode.INTERRUPTED, "interrupted"
    if shutdown.draining.is_set():
        return ExitCode.STOPPED, shutdown.reason
    rest = f"{still_open.left_out} others are pending: resume without --only"
    if still_open.asked == 0:
        return ExitCode.STOPPED, f"every infrastructure failure has its record now; {rest}"
    counted = ", ".join(f"{count} {outcome}" for outcome, count in statistics.outcomes.items() if outcome not in FINAL)
    reason = f"done; {still_open.asked} samples have no final outcome ({counted})"
    return ExitCode.DONE_WITH_FAILURES, f"{reason}; {rest}" if still_open.left_out else reason
