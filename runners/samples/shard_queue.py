"""What is still to be opened: a shard's ordinals, taken from the front, and the shards of a model, which help each other.

Ranges and a bitmap, never a list of samples.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sharding.rebalance import Load, choose_theft

from .bitmap import Bitmap


class ShardQueue:
    """Skips what is done already. Closing ends it."""

    def __init__(self, ordinals: Sequence[range], done: Bitmap) -> None:
        self._parts = deque(part for part in ordinals if part)
        self._done = done

    def take(self) -> int | None:
        """The next ordinal; None at the end."""
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
        """Give away the last `count` ordinals, in their order."""
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
        self._parts.clear()

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)


@dataclass(frozen=True, slots=True)
class TakenOrdinal:
    ordinal: int
    planned: str
    """The instance that the plan gave it to."""


class Peers(Protocol):
    """What the shards of a model know of each other's instances."""

    def rate_per_s(self, name: str) -> float:
        """Samples that the instance gets through; 0 where it is silent or has not begun."""
        ...

    def is_silent(self, name: str) -> bool:
        """Gone, down or suspect: its work is better done by others."""
        ...


class ModelQueues:
    """The queues of one model's shards in a stage. Whoever runs dry takes from the shard that would finish last.

    Without `rebalances` only the work of silent instances is taken: the plan is kept while it can be.
    """

    def __init__(self, queues: Mapping[str, ShardQueue], peers: Peers, *, done: Bitmap, rebalances: bool) -> None:
        self._own = queues
        self._helping: dict[str, list[tuple[str, ShardQueue]]] = {name: [] for name in queues}
        self._peers = peers
        self._done = done
        self._rebalances = rebalances
        self.emptied = asyncio.Event()
        """Nothing is left to open: whoever waits for its start has nothing to wait for."""

    def take(self, name: str) -> TakenOrdinal | None:
        """The next sample for instance `name`: its own, else one taken over; None when nobody has any left to give."""
        while True:
            for planned, queue in self._of(name):
                ordinal = queue.take()
                if ordinal is not None:
                    return TakenOrdinal(ordinal, planned)
            if not self._take_over(name):
                self._tell_empty()
                return None

    def close(self) -> None:
        for name in self._own:
            for _planned, queue in self._of(name):
                queue.close()
        self._tell_empty()

    def _tell_empty(self) -> None:
        if not any(len(queue) for name in self._own for _planned, queue in self._of(name)):
            self.emptied.set()

    def _take_over(self, name: str) -> bool:
        loads = {other: self._load(other) for other in self._own if self._may_take_from(other) or other == name}
        theft = choose_theft(name, loads)
        if theft is None:
            return False
        self._helping[name] = [
            (planned, ShardQueue(parts, self._done)) for planned, parts in self._give(theft.victim, theft.count)
        ]
        return True

    def _give(self, victim: str, count: int) -> Iterator[tuple[str, list[range]]]:
        for planned, queue in reversed(list(self._of(victim))):
            before = len(queue)
            parts = queue.split(count)
            count -= before - len(queue)
            if parts:
                yield planned, parts

    def _load(self, name: str) -> Load:
        return Load(sum(len(queue) for _planned, queue in self._of(name)), self._peers.rate_per_s(name))

    def _may_take_from(self, name: str) -> bool:
        return self._rebalances or self._peers.is_silent(name)

    def _of(self, name: str) -> Iterator[tuple[str, ShardQueue]]:
        yield name, self._own[name]
        yield from self._helping[name]
