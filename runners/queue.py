"""A shard's ordinals, taken from the front; ranges and a bitmap, never a list of samples."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

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

    def close(self) -> None:
        self._parts.clear()

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)
