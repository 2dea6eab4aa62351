"""Maps sample ids to ordinals in about 25 bytes per sample; the simulator uses it, because it receives only the ids."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping

DIGEST_BYTES = 16


class SampleIndex(Mapping[str, int]):
    """A hash table from sample id to ordinal: open addressing over two flat buffers, digests by ordinal and slots with ordinal + 1."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._digests = bytearray(length * DIGEST_BYTES)
        slots = 1 << max(3, (length * 3 // 2).bit_length())
        self._mask = slots - 1
        self._slots = array("Q", bytes(8 * slots)) if length >= 1 << 32 else array("I", bytes(4 * slots))

    def put(self, digest: bytes, ordinal: int) -> None:
        """Add a sample. Call it once for every ordinal."""
        start = ordinal * DIGEST_BYTES
        self._digests[start : start + DIGEST_BYTES] = digest
        slots, mask = self._slots, self._mask
        slot = int.from_bytes(digest[:8], "little") & mask
        while slots[slot]:
            slot = (slot + 1) & mask
        slots[slot] = ordinal + 1

    def __getitem__(self, sample_id: str) -> int:
        digest = self._parse(sample_id)
        slots, mask = self._slots, self._mask
        slot = int.from_bytes(digest[:8], "little") & mask
        while entry := slots[slot]:
            start = (entry - 1) * DIGEST_BYTES
            if self._digests[start : start + DIGEST_BYTES] == digest:
                return entry - 1
            slot = (slot + 1) & mask
        raise KeyError(sample_id)

    @staticmethod
    def _parse(sample_id: str) -> bytes:
        try:
            digest = bytes.fromhex(sample_id)
        except ValueError:
            digest = b""
        if len(digest) != DIGEST_BYTES:
            raise KeyError(sample_id)
        return digest

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self._digests), DIGEST_BYTES):
            yield self._digests[start : start + DIGEST_BYTES].hex()

    def __len__(self) -> int:
        return self._length
