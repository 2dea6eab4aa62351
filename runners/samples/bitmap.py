"""A bitmap with one bit per ordinal: which samples are done, in one bit of memory per sample."""

from __future__ import annotations


class Bitmap:
    """A set of ordinals below `size`."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._bits = bytearray((size + 7) // 8)
        self.count = 0
        """Number of ordinals in the set."""

    def __contains__(self, ordinal: int) -> bool:
        return bool(self._bits[ordinal >> 3] & (1 << (ordinal & 7)))

    def add(self, ordinal: int) -> bool:
        """Add an ordinal and return whether it is new."""
        if ordinal in self:
            return False
        self._bits[ordinal >> 3] |= 1 << (ordinal & 7)
        self.count += 1
        return True

    def remove(self, ordinal: int) -> None:
        """Remove an ordinal if it is in the set."""
        if ordinal in self:
            self._bits[ordinal >> 3] &= ~(1 << (ordinal & 7))
            self.count -= 1
