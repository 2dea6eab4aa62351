"""One `results.jsonl` that only grows, and `unresolved.jsonl`. A part that a crash cut off is cut away before the next is written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import orjson

from providers.errors import StorageError

from ..durable import fsync_directory, replace_file
from .sink import Row


class JsonlSink:
    """`.parts` beside the results holds one line per finished part: its number and the file's length behind it."""

    def __init__(self, results: Path) -> None:
        self._path = results / "results.jsonl"
        self._index = results / ".parts"
        self._unresolved = results / "unresolved.jsonl"

    def write_part(self, number: int, rows: Iterable[Row]) -> None:
        parts = self._parts()
        if not parts:  # from the first byte on there is an index: its absence is a loss, never a crash
            self._write_index(parts)
        with self._path.open("ab") as file:
            file.truncate(max(parts.values(), default=0))
            file.seek(0, os.SEEK_END)
            _write_rows(file, rows)
            file.flush()
            os.fsync(file.fileno())
            parts[number] = file.tell()
        fsync_directory(self._path.parent)
        self._write_index(parts)

    def last_part(self) -> int:
        return max(self._parts(), default=0)

    def write_unresolved(self, rows: Iterable[Row]) -> None:
        replace_file(self._unresolved, lambda file: _write_rows(file, rows))

    def ordinals(self) -> Iterator[int]:
        end = max(self._parts().values(), default=0)
        if not end:
            return
        with self._path.open("rb") as file:
            while file.tell() < end:
                yield orjson.loads(file.readline())["ordinal"]

    def _write_index(self, parts: Mapping[int, int]) -> None:
        replace_file(self._index, lambda file: file.write(orjson.dumps({str(n): end for n, end in parts.items()})))

    def _parts(self) -> dict[int, int]:
        if not self._index.exists():
            if self._path.exists() and self._path.stat().st_size:
                message = f"{self._path} has lost its index {self._index.name}; copy the whole folder, hidden files too"
                raise StorageError(message)
            return {}
        return {int(number): end for number, end in orjson.loads(self._index.read_bytes()).items()}


def _write_rows(file: BinaryIO, rows: Iterable[Row]) -> None:
    for row in rows:
        file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
