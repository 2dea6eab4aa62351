"""One bit per ordinal: which samples are done, in memory that does not care how many there are."""

from __future__ import annotations


class Bitmap:
    def __init__(self, size: int) -> None:
        self.size = size
        self._bits = bytearray((size + 7) // 8)
        self.count = 0
        """Bits that are set."""

    def __contains__(self, ordinal: int) -> bool:
        return bool(self._bits[ordinal >> 3] & (1 << (ordinal & 7)))

    def add(self, ordinal: int) -> bool:
        """Returns whether it is new."""
        if ordinal in self:
            return False
        self._bits[ordinal >> 3] |= 1 << (ordinal & 7)
        self.count += 1
        return True

    def remove(self, ordinal: int) -> None:
        """Clear the bit of an ordinal that is in it."""
        if ordinal in self:
            self._bits[ordinal >> 3] &= ~(1 << (ordinal & 7))
            self.count -= 1
