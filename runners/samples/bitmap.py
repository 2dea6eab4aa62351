"""A bitmap with one bit per ordinal: which samples are done, in one bit of memory per sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


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
        index, bit = ordinal >> 3, 1 << (ordinal & 7)
        if self._bits[index] & bit:
            return False
        self._bits[index] |= bit
        self.count += 1
        return True

    def add_all(self, ordinals: Iterable[int]) -> list[int]:
        """Add ordinals and return those that are not new."""
        bits, repeated, added = self._bits, list[int](), 0
        for ordinal in ordinals:
            index, bit = ordinal >> 3, 1 << (ordinal & 7)
            if bits[index] & bit:
                repeated.append(ordinal)
            else:
                bits[index] |= bit
                added += 1
        self.count += added
        return repeated

    def remove(self, ordinal: int) -> None:
        """Remove an ordinal if it is in the set."""
        if ordinal in self:
            self._bits[ordinal >> 3] &= ~(1 << (ordinal & 7))
            self.count -= 1

    def missing(self) -> Iterator[int]:
        """Yield the ordinals that are not in the set, in order; eight that are in it are passed in one step."""
        for index, bits in enumerate(self._bits):
            if bits != 0xFF:
                for ordinal in range(8 * index, min(8 * index + 8, self.size)):
                    if not bits >> (ordinal & 7) & 1:
                        yield ordinal
