"""What a run has spent so far, from its directory alone: the last settlement, and what came after it in the journal's order."""

from __future__ import annotations

from pathlib import Path

from runners.calls.budget import NOTHING, Spending
from runners.journal.frames import rows
from runners.journal.sinks.open_sink import sink_over
from runners.journal.sinks.sink import StorageFormat
from runners.journal.spending_log import Settlement, SpendingLog

from ...results.run_directory.directory import RunDirectory
from .older_spending import COSTS, TOKENS, spent_before_settlements, spent_on

EVERYTHING = -1
"""Below the number of every segment."""


def spent_so_far(directory: RunDirectory, storage_format: StorageFormat, spending_log: SpendingLog) -> Settlement:
    """Return what all executions spent. Call it after the journal is replayed: every record is then in a part or unresolved.

    Where the last execution was killed, all that it had reserved counts; what no record accounts for is presumed.
    """
    last = spending_log.settlement
    if last is None and (older := spent_before_settlements(directory)) is not None:
        return Settlement(older)
    after = EVERYTHING if last is None else last.segment
    recorded = _in_parts(directory.results, storage_format, after) + _unresolved(directory.journal, after)
    recorded += last.spent if last else NOTHING
    spent = recorded.upper(spending_log.reserved)
    return Settlement(spent, spending_log.presumed + (spent - recorded), max(after, 0))


def _in_parts(results: Path, storage_format: StorageFormat, after: int) -> Spending:
    totals = sink_over(storage_format, results).totals([*TOKENS, *COSTS], after)
    return Spending(int(sum(totals[name] for name in TOKENS)), sum(totals[name] for name in COSTS))


def _unresolved(journal: Path, after: int) -> Spending:
    """Sum the unresolved records of the segments above `after`. A crash may leave those of a segment twice: the last time counts."""
    path, segment = journal / "unresolved.log", 0
    by_segment = {segment: NOTHING}
    for row in rows(path) if path.exists() else ():
        if "segment" in row:
            segment = row["segment"]
            by_segment[segment] = NOTHING
        elif segment > after:
            by_segment[segment] += spent_on(row)
    return sum(by_segment.values(), NOTHING)
