"""The first level of the cache: the answers that were used last, in memory, bounded by bytes."""

from __future__ import annotations

from collections import OrderedDict


class RecentAnswers:
    """Values by key, at most `limit_bytes` of them together. All operations are O(1)."""

    def __init__(self, limit_bytes: int) -> None:
        self._values: OrderedDict[bytes, bytes] = OrderedDict()
        self._limit_bytes = limit_bytes
        self.size = 0
        """Bytes of the values."""

    def __len__(self) -> int:
        return len(self._values)

    def find(self, key: bytes) -> bytes | None:
        """Return the value, which is then the last to go; None where there is none."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value, and drop those that were used longest ago while there are too many bytes."""
        self.size += len(value) - len(self._values.pop(key, b""))
        self._values[key] = value
        while self.size > self._limit_bytes:
            self.size -= len(self._values.popitem(last=False)[1])

    def halve(self) -> None:
        """Drop half of the bytes, those that were used longest ago."""
        goal = self.size // 2
        while self.size > goal:
            self.size -= len(self._values.popitem(last=False)[1])
