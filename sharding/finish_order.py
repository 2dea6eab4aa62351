"""The shards of a model, sorted by when they would finish, at a cost that does not grow with their number.

The loads change all the time, so the order is kept by the loads as last read. Every question reads a few shards again in turn, and the one
at the end of the order until its load is a fresh one. Of up to `READ_AT_ONCE` shards all are read, and the answer is exact.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from itertools import cycle, islice

from .rebalance import Load, time_left_s

READ_AT_ONCE = 32
"""Shards that are read again in turn for each question."""


class FinishOrder:
    """The shards that have samples left, in the order in which they would finish.

    `load_of` reads the current load of a shard; a shard without remaining samples is not in the order.
    """

    def __init__(self, names: Sequence[str], load_of: Callable[[str], Load]) -> None:
        self._load_of = load_of
        self._places = {name: -place for place, name in enumerate(names)}
        self._turns = cycle(names)
        self._keys: dict[str, tuple[float, int, str]] = {}
        self._sorted: list[tuple[float, int, str]] = []
        self._is_read = False

    def last_to_finish(self) -> dict[str, Load]:
        """Return the loads that were read just now; that of the shard which would finish last is among them."""
        at_once = READ_AT_ONCE if self._is_read else len(self._places)
        self._is_read = True
        loads = {name: self.read(name) for name in islice(self._turns, min(at_once, len(self._places)))}
        while self._sorted and (last := self._sorted[-1][-1]) not in loads:
            loads[last] = self.read(last)
        return loads

    def read(self, name: str) -> Load:
        """Read the load of a shard and move the shard to its place in the order."""
        load, key = self._load_of(name), self._keys.pop(name, None)
        if key is not None:
            del self._sorted[bisect_left(self._sorted, key)]
        if load.remaining:
            self._keys[name] = key = (time_left_s(load), self._places[name], name)
            insort(self._sorted, key)
        return load
