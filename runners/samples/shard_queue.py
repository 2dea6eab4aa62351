"""The samples that are still to be opened: the queue of a shard, and the queues of a model's shards, which take over each other's work.

They hold ranges of ordinals and a bitmap, never a list of samples.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sharding.finish_order import FinishOrder
from sharding.rebalance import Load, choose_theft

from .bitmap import Bitmap


class ShardQueue:
    """The ordinals of a shard that are still to be opened; those that are done are skipped."""

    def __init__(self, ordinals: Sequence[range], done: Bitmap) -> None:
        self._parts = deque(part for part in ordinals if part)
        self._done = done

    def take(self) -> int | None:
        """Return the next ordinal; None at the end."""
        while self._parts:
            part = self._parts[0]
            if len(part) > 1:
                self._parts[0] = part[1:]
            else:
                self._parts.popleft()
            if part[0] not in self._done:
                return part[0]
        return None

    def split(self, count: int) -> list[range]:
        """Remove the last `count` ordinals and return them, in their order."""
        given: list[range] = []
        while count > 0 and self._parts:
            part = self._parts.pop()
            kept = max(0, len(part) - count)
            if kept:
                self._parts.append(part[:kept])
            given.insert(0, part[kept:])
            count -= len(part) - kept
        return given

    def close(self) -> None:
        """Remove all ordinals."""
        self._parts.clear()

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)


@dataclass(frozen=True, slots=True)
class TakenOrdinal:
    """An ordinal that was taken from a queue."""

    ordinal: int
    planned: str
    """The instance that the plan gave it to."""


class Peers(Protocol):
    """The state of a model's instances that the queues need; a Dispatcher provides it."""

    def rate_per_s(self, name: str) -> float:
        """Return the instance's throughput in samples per second; 0 if it is not healthy or has not begun."""
        ...

    def is_silent(self, name: str) -> bool:
        """Return whether the instance is not healthy, so that others should do its work."""
        ...


class ModelQueues:
    """The queues of one model's shards in a stage. An instance without work takes samples from the shard that would finish last.

    Without `rebalances`, only work of instances that are not healthy is taken, so that the plan is kept as far as possible.
    """

    def __init__(self, queues: Mapping[str, ShardQueue], peers: Peers, *, done: Bitmap, rebalances: bool) -> None:
        self._own = queues
        self._helping: dict[str, list[tuple[str, ShardQueue]]] = {name: [] for name in queues}
        self._with_work = set(queues)
        """The shards that may have samples left; the others have none."""
        self._peers = peers
        self._done = done
        self._rebalances = rebalances
        self._finish_order = FinishOrder(list(queues), self._load_to_share)
        self.emptied = asyncio.Event()
        """Set when no samples are left to open, so that a pool that waits for its start ends."""

    def take(self, name: str) -> TakenOrdinal | None:
        """Return the next sample for instance `name`: its own, else one taken over; None when none is left."""
        while True:
            for planned, queue in self._of(name):
                ordinal = queue.take()
                if ordinal is not None:
                    return TakenOrdinal(ordinal, planned)
            if not self._take_over(name):
                self._notify_if_empty()
                return None

    def close(self) -> None:
        """Remove all samples of all queues."""
        for name in self._with_work:
            for _planned, queue in self._of(name):
                queue.close()
        self._with_work.clear()
        self._notify_if_empty()

    def _notify_if_empty(self) -> None:
        """Forget the shards that are empty, and notify if there is no other."""
        while self._with_work:
            name = self._with_work.pop()
            if self._remaining(name):
                self._with_work.add(name)
                return
        self.emptied.set()

    def _take_over(self, name: str) -> bool:
        if not self._with_work:
            return False
        loads = self._finish_order.last_to_finish()
        theft = choose_theft(name, {**loads, name: self._load(name)})
        if theft is None:
            return False
        self._helping[name] = [
            (planned, ShardQueue(parts, self._done)) for planned, parts in self._give(theft.victim, theft.count)
        ]
        self._with_work.add(name)
        for changed in (name, theft.victim):
            self._finish_order.read(changed)
        return True

    def _give(self, victim: str, count: int) -> Iterator[tuple[str, list[range]]]:
        for planned, queue in reversed(list(self._of(victim))):
            before = len(queue)
            parts = queue.split(count)
            count -= before - len(queue)
            if parts:
                yield planned, parts

    def _load(self, name: str) -> Load:
        return Load(self._remaining(name), self._peers.rate_per_s(name))

    def _load_to_share(self, name: str) -> Load:
        """Return the load of a shard that others may take from; an empty one where they may not."""
        return self._load(name) if self._rebalances or self._peers.is_silent(name) else Load(0, 0.0)

    def _remaining(self, name: str) -> int:
        return sum(len(queue) for _planned, queue in self._of(name))

    def _of(self, name: str) -> Iterator[tuple[str, ShardQueue]]:
        yield name, self._own[name]
        yield from self._helping[name]
