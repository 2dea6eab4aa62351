"""The offsets of all records of a text file: eight bytes each, collected in one scan.

A record is then read with one `pread`, from any thread, in any order. A record ends where the next one starts.
"""

from __future__ import annotations

import io
import os
import weakref
from array import array
from collections.abc import Callable
from pathlib import Path

import orjson

from providers.errors import InputError

from ..columns import Row

BOM = b"\xef\xbb\xbf"
CHUNK_BYTES = 1 << 20


class OffsetIndex:
    """An open file and the offsets of its records."""

    def __init__(self, path: Path, data: Path | None = None) -> None:
        """Open the file. `path` is its name in messages; `data` is where its bytes are, if they are elsewhere."""
        self.path = path
        self.data = path if data is None else data
        self.starts = array("Q")
        self.decode: Callable[[bytes], object] = orjson.loads
        """Parses a record; a file with long numbers is parsed by `loads_exactly`."""
        self._descriptor = os.open(self.data, os.O_RDONLY)
        self._size = os.fstat(self._descriptor).st_size
        self.close = weakref.finalize(self, os.close, self._descriptor)
        """Closes the file; further calls do nothing."""

    def read(self, number: int) -> bytes:
        """Read the bytes of a record."""
        starts = self.starts
        start = starts[number]
        end = starts[number + 1] if number + 1 < len(starts) else self._size
        return os.pread(self._descriptor, end - start, start)

    def where(self, number: int) -> str:
        """Name the file and the line (from 1) where a record starts; lines are counted on each call, because only messages need them."""
        left, line = self.starts[number], 1
        with self.data.open("rb") as file:
            while left > 0 and (chunk := file.read(min(left, CHUNK_BYTES))):
                line += chunk.count(b"\n")
                left -= len(chunk)
        return f"{self.path}, line {line}"

    def share(self) -> float:
        """Return the share of the file that is indexed."""
        return self.starts[-1] / self._size if self.starts else 0.0

    def where_last(self) -> str:
        """Name the file and the line of the record that was indexed last."""
        return self.where(len(self.starts) - 1)


def skip_bom(file: io.BufferedReader) -> int:
    """Move past a byte order mark, if there is one, and return the offset."""
    if file.peek(len(BOM)).startswith(BOM):
        file.seek(len(BOM))
    return file.tell()


def decode_object(data: bytes, index: OffsetIndex, number: int) -> Row:
    """Decode record `number`, which is indexed. Raises InputError with its line."""
    try:
        row = index.decode(data)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{index.where(number)}: {_json_fault(data, error)}; fix or remove the line") from error
    if isinstance(row, dict):
        return row
    raise InputError(f"{index.where(number)}: not a JSON object; fix or remove the line")


def _json_fault(data: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        data.decode()
    except UnicodeDecodeError:
        return "not UTF-8 text"
    return f"not valid JSON ({error.msg})"
