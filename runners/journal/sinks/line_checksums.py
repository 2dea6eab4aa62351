"""The checksums of the lines of `results.jsonl`: with them a damaged byte costs the line that it is in.

They are beside the results and not in the records, so that the records hold what the run found and nothing of how it is stored. Each line
has eight bytes: its length and its CRC-32. The lengths locate the lines even where a newline is damaged.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from providers.file_modes import as_its_folder

_ENTRY = struct.Struct("<II")
ENTRY_BYTES = _ENTRY.size


class LineChecksums:
    """The file of the checksums. It is only appended to; the index of the results says where the checksums of which lines are."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, at: int, entries: bytes) -> None:
        """Write entries at the offset `at`, and cut what a crash has left behind it."""
        with open(self._path, "ab", opener=as_its_folder) as file:
            file.truncate(at)
            file.seek(0, os.SEEK_END)
            file.write(entries)
            file.flush()
            os.fsync(file.fileno())

    def lines(self, data: bytes, at: int, count: int) -> Iterator[bytes | None]:
        """Yield the `count` lines of `data`, whose entries begin at the offset `at`; None for a damaged line."""
        entries, start = b"", 0
        with suppress(OSError), self._path.open("rb") as file:
            file.seek(at)
            entries = file.read(ENTRY_BYTES * count)
        for size, crc32 in _ENTRY.iter_unpack(entries.ljust(ENTRY_BYTES * count, b"\0")):
            line = data[start : start + size]
            yield line if line and zlib.crc32(line) == crc32 else None
            start += size


def entry(line: bytes) -> bytes:
    """Encode the entry of a line."""
    return _ENTRY.pack(len(line), zlib.crc32(line))
