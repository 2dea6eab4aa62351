"""The JSONL sink: one `results.jsonl` to which parts are appended, and `unresolved.jsonl`. An incomplete part is cut first."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from providers.errors import StorageError
from providers.file_modes import as_its_folder

from ...durable import fsync_directory, replace_file, storage_error
from ...samples.bitmap import Bitmap
from ..pieces import PIECE_CHARACTERS, PIECE_ROWS, in_pieces
from .sink import UNRESOLVED, Batch, Row, set_aside_name


@dataclass(frozen=True, slots=True)
class _PartLines:
    """A group of lines in the results file: their end offset and the checksum of their bytes."""

    end: int
    crc32: int


_Parts = dict[int, list[_PartLines]]


class JsonlSink:
    """The results as one JSONL file. The index file `.parts` holds the line groups of every complete part by its number."""

    def __init__(self, results: Path) -> None:
        self._path = results / "results.jsonl"
        self._index = results / ".parts"
        self._new_path = results / ".results.jsonl.new"
        self._new_index = results / ".parts.new"
        """Both are written before they are renamed, the results first. If only the new index exists, the results are already renamed."""
        self._unresolved = results / "unresolved.jsonl"

    def write_part(self, number: int, rows: Iterable[Row]) -> None:
        """Append a part and then add it to the index."""
        parts = self._parts()
        if not parts:  # the index exists before the first row: a missing index means that it was lost, not a crash
            self._write_index(parts)
        with open(self._path, "ab", opener=as_its_folder) as file:
            file.truncate(_end(parts))
            file.seek(0, os.SEEK_END)
            parts[number] = _write_rows(file, rows)
            file.flush()
            os.fsync(file.fileno())
        fsync_directory(self._path.parent)
        self._write_index(parts)

    def last_part(self) -> int:
        """Return the highest number written; 0 before the first."""
        return max(self._parts(), default=0)

    def write_unresolved(self, rows: Iterable[Row]) -> None:
        """Replace the file of the unresolved rows."""
        replace_file(self._unresolved, lambda file: _write_rows(file, rows))

    def ordinals(self) -> Iterator[int]:
        """Yield the ordinals of all final rows. Raises ValueError if the file is too short."""
        for row in self._rows(0):
            yield row["ordinal"]

    def totals(self, columns: Sequence[str], after: int) -> Mapping[str, float]:
        """Sum columns of numbers over the rows of the parts above `after`, but for those from the cache. Raises ValueError if the file is too short."""
        totals = dict.fromkeys(columns, 0)
        for row in self._rows(after):
            for name in columns if not row["cache_hit"] else ():
                totals[name] += row[name] or 0
        return totals

    def _rows(self, after: int) -> Iterator[Any]:
        parts = self._parts()
        start = _end({number: lines for number, lines in parts.items() if number <= after})
        left = _end(parts) - start
        if left <= 0:
            return
        with self._path.open("rb") as file:
            file.seek(start)
            while left > 0 and (line := file.readline()):
                left -= len(line)
                yield orjson.loads(line)
        if left > 0:
            raise ValueError(f"{self._path.name} is {left} bytes shorter than what was written")

    def examine(self, columns: Sequence[str]) -> Iterator[Batch]:
        """Read every line and yield the rows and the faults."""
        try:
            parts = sorted(self._parts().items())
        except StorageError as error:
            yield Batch(self._index.name, 1, fault=str(error))
            return
        if parts:
            yield from self._examine_parts(parts, columns)
        if self._unresolved.exists():
            with self._unresolved.open("rb") as file:
                lines_read = 0
                for lines in in_pieces(file, len):
                    yield _batch((self._unresolved.name, UNRESOLVED), lines_read, lines, columns)
                    lines_read += len(lines)

    def _examine_parts(
        self, parts: Sequence[tuple[int, Sequence[_PartLines]]], columns: Sequence[str]
    ) -> Iterator[Batch]:
        try:
            file = self._path.open("rb")
        except OSError as error:
            yield Batch(self._path.name, parts[0][0], fault=f"cannot be read ({error.strerror})")
            return
        with file:
            lines_read = 0
            for number, stretches in parts:
                for lines in _read_stretches(file, stretches):
                    yield _batch((self._path.name, number), lines_read, lines, columns)
                    lines_read += len(lines or ())

    def repair(self, numbers: Collection[int], known: Bitmap) -> list[Path]:
        """Rewrite the file: copy the intact parts, and of the damaged ones the line groups whose checksum matches."""
        parts, kept, damaged = sorted(self._parts().items()), _Parts(), set_aside_name(self._path)
        os.link(self._path, damaged)

        def carry_over(to: BinaryIO) -> None:
            with damaged.open("rb") as file:
                for number, stretches in parts:
                    is_whole = number not in numbers
                    rows = (orjson.loads(line) for lines in _read_stretches(file, stretches) for line in lines or ())
                    kept[number] = _write_rows(to, (row for row in rows if is_whole or known.add(row["ordinal"])))

        replace_file(self._path, carry_over)
        self._write_index(kept)
        return [damaged]

    def withdraw(self, is_superseded: Callable[[Row], bool], keep: Callable[[int, Sequence[Row]], None]) -> None:
        """Rewrite the file without the superseded rows, which `keep` stores first."""
        parts, kept, has_superseded = sorted(self._parts().items()), _Parts(), False
        if not parts:
            return
        self._write_index(dict(parts))  # completes a rewrite that a crash interrupted

        def carry_over(to: BinaryIO) -> None:
            nonlocal has_superseded
            with self._path.open("rb") as file:
                for number, stretches in parts:
                    rows = [orjson.loads(line) for lines in _read_stretches(file, stretches) for line in lines or ()]
                    superseded = [row for row in rows if is_superseded(row)]
                    if superseded:
                        keep(number, superseded)
                        has_superseded = True
                    kept[number] = _write_rows(to, (row for row in rows if not is_superseded(row)))

        replace_file(self._new_path, carry_over)
        if not has_superseded:
            self._new_path.unlink()
            return
        replace_file(self._new_index, lambda file: file.write(_document(kept)))
        self._new_path.rename(self._path)
        fsync_directory(self._path.parent)
        self._write_index(kept)

    def _write_index(self, parts: _Parts) -> None:
        replace_file(self._index, lambda file: file.write(_document(parts)))
        self._new_index.unlink(missing_ok=True)

    def _parts(self) -> _Parts:
        try:
            is_half_done = self._new_index.exists() and not self._new_path.exists()
            index = orjson.loads((self._new_index if is_half_done else self._index).read_bytes())
            return {int(number): [_PartLines(*stretch) for stretch in part] for number, part in index.items()}
        except FileNotFoundError:
            if self._path.exists() and self._path.stat().st_size:
                message = f"{self._path} has lost its index {self._index.name}; copy the whole folder, hidden files too"
                raise StorageError(message) from None
            return {}
        except OSError as error:
            raise storage_error(self._index, error) from error
        except (ValueError, TypeError, AttributeError) as error:
            raise StorageError(f"{self._index} is damaged ({error}); restore it from a copy of the folder") from error


def _document(parts: _Parts) -> bytes:
    return orjson.dumps(
        {str(number): [[stretch.end, stretch.crc32] for stretch in part] for number, part in parts.items()}
    )


def _read_stretches(file: BinaryIO, stretches: Iterable[_PartLines]) -> Iterator[list[bytes] | None]:
    """Yield the lines of each line group from the file's position on; None for a group whose checksum differs."""
    for stretch in stretches:
        data = file.read(max(0, stretch.end - file.tell()))
        yield data.splitlines() if zlib.crc32(data) == stretch.crc32 else None


def _batch(of: tuple[str, int], before: int, lines: Sequence[bytes] | None, columns: Sequence[str]) -> Batch:
    """Build the batch of `lines`, which follow after `before` other lines."""
    if lines is None:
        return Batch(*of, f"after line {before}", fault="is not what was written: a checksum differs")
    where = f"lines {before + 1}–{before + len(lines)}"
    try:
        rows = map(orjson.loads, lines)
        return Batch(*of, where, [[row[name] for name in columns] for row in rows])
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        return Batch(*of, where, fault=f"holds a line that is no record ({error})")


def _end(parts: _Parts) -> int:
    return max((stretches[-1].end for stretches in parts.values() if stretches), default=0)


def _write_rows(file: BinaryIO, rows: Iterable[Row]) -> list[_PartLines]:
    pending, written = iter(rows), []
    for first in pending:
        crc32, size = 0, 0
        for row in chain([first], islice(pending, PIECE_ROWS - 1)):
            line = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
            crc32 = zlib.crc32(line, crc32)
            file.write(line)
            size += len(line)
            if size >= PIECE_CHARACTERS:  # a group is read as a whole
                break
        written.append(_PartLines(file.tell(), crc32))
    return written
