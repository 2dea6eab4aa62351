"""What a run has spent so far, from its directory alone: the last settlement, and what came after it in the journal's order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from runners.calls.budget import NOTHING, Spending
from runners.durable import storing
from runners.journal.compaction import Compactor
from runners.journal.frames import rows
from runners.journal.sinks.open_sink import sink_over
from runners.journal.sinks.sink import StorageFormat
from runners.journal.spending_log import Settlement, SpendingLog

from ...results.run_directory.directory import RunDirectory
from .older_spending import COSTS, TOKENS, spent_before_settlements, spent_on

EVERYTHING = -1
"""Below the number of every segment."""


def settle_killed(directory: RunDirectory, storage_format: StorageFormat, compactor: Compactor) -> SpendingLog:
    """Open the spending log, and settle what killed executions left, so that no later resume counts it again. Raises StorageError."""
    spending_log = SpendingLog(directory.journal)
    settlement = spent_so_far(directory, storage_format, spending_log)
    if settlement != (spending_log.settlement or Settlement()):
        with storing(directory.journal):
            spending_log.settle(replace(settlement, segment=max(settlement.segment, compactor.next_number() - 1)))
    return spending_log


def spent_so_far(directory: RunDirectory, storage_format: StorageFormat, spending_log: SpendingLog) -> Settlement:
    """Return what all executions spent. Call it after the journal is replayed: every record is then in a part or unresolved.

    Where the last execution was killed, all that it had reserved counts; what no record accounts for is presumed.
    """
    last = spending_log.settlement
    after = EVERYTHING if last is None else last.segment
    unresolved, segment = _unresolved(directory.journal, after)
    if last is None and (older := spent_before_settlements(directory)) is not None:
        return Settlement(older, segment=segment)
    recorded = _in_parts(directory.results, storage_format, after) + unresolved
    recorded += last.spent if last else NOTHING
    spent = recorded.upper(spending_log.reserved)
    return Settlement(spent, spending_log.presumed + (spent - recorded), max(after, segment))


def _in_parts(results: Path, storage_format: StorageFormat, after: int) -> Spending:
    totals = sink_over(storage_format, results).totals([*TOKENS, *COSTS], after)
    return Spending(int(sum(totals[name] for name in TOKENS)), sum(totals[name] for name in COSTS))


def _unresolved(journal: Path, after: int) -> tuple[Spending, int]:
    """Sum the unresolved records of the segments above `after`, and find the highest segment.

    A crash may leave the records of a segment twice: the last time counts.
    """
    path, segment = journal / "unresolved.log", 0
    by_segment = {segment: NOTHING}
    for row in rows(path) if path.exists() else ():
        if "segment" in row:
            segment = row["segment"]
            by_segment[segment] = NOTHING
        elif segment > after:
            by_segment[segment] += spent_on(row)
    return sum(by_segment.values(), NOTHING), max(by_segment)
