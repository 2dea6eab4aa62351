"""What a run may have spent, on disk before it is sent: the lines of `journal/spending.log`, in their order.

    settled     what was spent when an execution ended, or when a resume found a killed one; the records of all segments up to `segment`
                are in it
    reserved    a ceiling: what is spent and what is reserved stay below it until the next line

After a kill everything up to the last ceiling counts as spent, because nobody knows which of it was sent. What came after what is told by
the order of lines and the numbers of segments, never by a clock. An execution without a limit writes one line, when it ends.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..calls.budget import NOTHING, Budget, Spending
from ..durable import LineFile, fsync_directory, storing
from .frames import frame, read_lines

SPENDING_LOG = "spending.log"


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a run has spent up to a point of its journal."""

    spent: Spending = NOTHING
    presumed: Spending = NOTHING
    """The part of `spent` that killed executions had reserved and no record shows: it may not have been billed."""
    segment: int = 0
    """The last segment whose records are in `spent`."""


class SpendingLog:
    """The spending log of one run directory, read when it is opened. It implements the budget's Ledger."""

    def __init__(self, folder: Path) -> None:
        self.settlement: Settlement | None = None
        """The last one; None before the first."""
        self.reserved = NOTHING
        """The ceiling of an execution that was killed; nothing after a settlement."""
        self.budget: Budget | None = None
        """The budget whose spending the end of the execution settles."""
        self._path = folder / SPENDING_LOG
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spending")
        if self._path.exists():
            self._read()

    @property
    def settled(self) -> Spending:
        """What was spent up to the last settlement."""
        return self.settlement.spent if self.settlement else NOTHING

    @property
    def presumed(self) -> Spending:
        """What was reserved by executions that were killed, and counts as spent."""
        return self.settlement.presumed if self.settlement else NOTHING

    @property
    def next_segment(self) -> int:
        """The lowest number of a segment whose records are not settled."""
        return 1 + (self.settlement.segment if self.settlement else 0)

    async def reserve(self, ceiling: Spending) -> None:
        """Return when the ceiling is on disk: up to it may be sent. Raises StorageError."""
        with storing(self._path):
            line = {"reserved": _pair(ceiling)}
            await asyncio.get_running_loop().run_in_executor(self._thread, self._append, line)

    def settle(self, settlement: Settlement) -> None:
        """Write what was spent. Raises OSError."""
        line = {
            "settled": _pair(settlement.spent),
            "presumed": _pair(settlement.presumed),
            "segment": settlement.segment,
        }
        self._thread.submit(self._append, line).result()  # after a ceiling that is still being written
        self.settlement, self.reserved = settlement, NOTHING

    def settle_execution(self, segment: int) -> None:
        """Write what the budget has spent when the execution ends, before its segments are deleted. Raises OSError."""
        if self.budget is not None:
            self.settle(Settlement(self.budget.spent, self.presumed, segment))
        self._thread.shutdown(wait=False)

    def _append(self, value: dict[str, Any]) -> None:
        is_new = not self._path.exists()
        if is_new:
            self._path.parent.mkdir(exist_ok=True)
        with closing(LineFile(self._path)) as file:
            file.append(frame(value))
            file.sync()
        if is_new:
            fsync_directory(self._path.parent)

    def _read(self) -> None:
        for line in read_lines(self._path):
            value: dict[str, Any] = dict(line.value or {})
            if "settled" in value:
                spent, presumed = Spending(*value["settled"]), Spending(*value["presumed"])
                self.settlement, self.reserved = Settlement(spent, presumed, value["segment"]), NOTHING
            elif "reserved" in value:
                self.reserved = Spending(*value["reserved"])


def _pair(spending: Spending) -> list[float]:
    return [spending.tokens, spending.cost_usd]
