"""The JSONL sink: one `results.jsonl` to which parts are appended, and `unresolved.jsonl`. An incomplete part is cut first.

Two hidden files belong to it: the index `.parts`, which says what is complete, and `.lines` with a checksum per line.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from providers.errors import StorageError
from providers.file_modes import as_its_folder

from ...durable import fsync_directory, replace_file, set_aside, storage_error
from ...samples.bitmap import Bitmap
from ..pieces import PIECE_CHARACTERS, PIECE_ROWS, in_pieces
from .line_checksums import ENTRY_BYTES, LineChecksums, entry
from .sink import FREE_ON_A_HIT, UNRESOLVED, Batch, Row


@dataclass(frozen=True, slots=True)
class _PartLines:
    """A group of lines in the results file: their end offset, the checksum of their bytes, and where their own checksums are."""

    end: int
    crc32: int
    checksums_at: int = 0
    """Offset in the file of the line checksums."""
    count: int = 0
    """Lines that have a checksum; 0 where an older version wrote the group."""

    @property
    def checksums_end(self) -> int:
        """Offset after its line checksums."""
        return self.checksums_at + ENTRY_BYTES * self.count


_Parts = dict[int, list[_PartLines]]


class JsonlSink:
    """The results as one JSONL file. The index file `.parts` holds the line groups of every complete part by its number."""

    def __init__(self, results: Path) -> None:
        self._path = results / "results.jsonl"
        self._index = results / ".parts"
        self._new_path = results / ".results.jsonl.new"
        self._new_index = results / ".parts.new"
        """Both are written before they are renamed, the results first. If only the new index exists, the results are already renamed."""
        self._checksums = LineChecksums(results / ".lines")
        self._unresolved = results / "unresolved.jsonl"

    def write_part(self, number: int, rows: Iterable[Row]) -> None:
        """Append a part and then add it to the index."""
        self._settle()
        parts = self._parts()
        if not parts:  # the index exists before the first row: a missing index means that it was lost, not a crash
            self._write_index(parts)
        with open(self._path, "ab", opener=as_its_folder) as file:
            file.truncate(_end(parts))
            file.seek(0, os.SEEK_END)
            lines = (orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
            written = _WrittenLines(file, _checksums_end(parts))
            parts[number] = written.add(lines)
            file.flush()
            os.fsync(file.fileno())
        self._checksums.append(written.start, bytes(written.entries))
        fsync_directory(self._path.parent)
        self._write_index(parts)

    def last_part(self) -> int:
        """Return the highest number written; 0 before the first."""
        return max(self._parts(), default=0)

    def write_unresolved(self, rows: Iterable[Row]) -> None:
        """Replace the file of the unresolved rows."""
        lines = (orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
        replace_file(self._unresolved, lambda file: file.writelines(lines))

    def ordinals(self) -> Iterator[int]:
        """Yield the ordinals of all final rows. Raises ValueError if the file is too short."""
        for row in self._rows(0):
            yield row["ordinal"]

    def totals(self, columns: Sequence[str], after: int) -> Mapping[str, float]:
        """Sum columns over the rows of parts above `after`, but for what is free on a hit. Raises ValueError if the file is too short."""
        totals = dict.fromkeys(columns, 0)
        for row in self._rows(after):
            for name in columns:
                if not (row["cache_hit"] and name in FREE_ON_A_HIT):
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
                for stretch in stretches:
                    lines = self._read_stretch(file, stretch)
                    for at, piece in _pieces(lines):
                        yield _batch((self._path.name, number), lines_read + at, piece, columns)
                    lines_read += len(lines)

    def _read_stretch(self, file: BinaryIO, stretch: _PartLines) -> list[bytes | None]:
        """Read the lines of a group from the file's position on, None for each that is damaged or may be."""
        data = file.read(max(0, stretch.end - file.tell()))
        if zlib.crc32(data) == stretch.crc32:
            return list(data.splitlines(keepends=True))
        return list(self._checksums.lines(data, stretch.checksums_at, stretch.count)) or [None] * max(
            1, data.count(b"\n")
        )

    def repair(self, numbers: Collection[int], known: Bitmap) -> list[Path]:
        """Rewrite the file with the intact parts, and of the damaged ones the lines whose checksum matches."""
        self._settle()
        damaged = set_aside(self._path)

        def intact(number: int, lines: Iterable[bytes]) -> Iterator[bytes]:
            return (line for line in lines if number not in numbers or known.add(orjson.loads(line)["ordinal"]))

        self._rewrite(intact)
        return [damaged]

    def withdraw(self, is_superseded: Callable[[Row], bool], keep: Callable[[int, Sequence[Row]], None]) -> None:
        """Rewrite the file without the superseded rows, which `keep` stores first."""
        self._settle()
        if not any(is_superseded(orjson.loads(line)) for lines in self._lines_by_part() for line in lines[1]):
            return

        def remaining(number: int, lines: Iterable[bytes]) -> Iterator[bytes]:
            for piece in in_pieces(lines, len):
                rows = list(map(orjson.loads, piece))
                if superseded := list(filter(is_superseded, rows)):
                    keep(number, superseded)
                yield from (line for line, row in zip(piece, rows, strict=True) if not is_superseded(row))

        self._rewrite(remaining)

    def _lines_by_part(self) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Yield the intact lines of every part, which are to be read before those of the next part."""
        if not (parts := sorted(self._parts().items())):
            return
        with self._path.open("rb") as file:
            for number, stretches in parts:
                yield number, (line for of in stretches for line in self._read_stretch(file, of) if line is not None)

    def _rewrite(self, kept: Callable[[int, Iterable[bytes]], Iterable[bytes]]) -> None:
        """Replace results and index by the lines that are `kept` of each part. A crash leaves both as they were, or both new."""
        parts, start = _Parts(), _checksums_end(self._parts())

        def carry_over(to: BinaryIO) -> None:
            written = _WrittenLines(to, start)
            for number, lines in self._lines_by_part():
                parts[number] = written.add(kept(number, lines))
            self._checksums.append(start, bytes(written.entries))

        replace_file(self._new_path, carry_over)
        replace_file(self._new_index, lambda file: file.write(_document(parts)))
        self._new_path.rename(self._path)
        fsync_directory(self._path.parent)
        self._settle()

    def _settle(self) -> None:
        """Complete a rewrite that a crash has interrupted after it renamed the results, and undo one that was interrupted before."""
        if not self._new_index.exists():
            return
        if not self._new_path.exists():
            self._new_index.rename(self._index)
        else:
            self._new_index.unlink()

    def _write_index(self, parts: _Parts) -> None:
        replace_file(self._index, lambda file: file.write(_document(parts)))

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
    return orjson.dumps({str(number): [astuple(stretch) for stretch in part] for number, part in parts.items()})


def _pieces(lines: Iterable[bytes | None]) -> Iterator[tuple[int, list[bytes | None]]]:
    """Split lines where intact and damaged ones meet; each piece comes with the number of lines before it."""
    before = 0
    for _, group in groupby(lines, lambda line: line is None):
        piece = list(group)
        yield before, piece
        before += len(piece)


def _batch(of: tuple[str, int], before: int, lines: Sequence[bytes | None], columns: Sequence[str]) -> Batch:
    """Build the batch of `lines`, all intact or all damaged, which follow after `before` other lines."""
    where = f"lines {before + 1}–{before + len(lines)}" if len(lines) > 1 else f"line {before + 1}"
    intact = [line for line in lines if line is not None]
    if not intact:
        return Batch(*of, where, fault="is not what was written: a checksum differs")
    try:
        rows = map(orjson.loads, intact)
        return Batch(*of, where, [[row[name] for name in columns] for row in rows])
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        return Batch(*of, where, fault=f"holds a line that is no record ({error})")


def _end(parts: _Parts) -> int:
    return max((stretches[-1].end for stretches in parts.values() if stretches), default=0)


def _checksums_end(parts: _Parts) -> int:
    return max((stretch.checksums_end for stretches in parts.values() for stretch in stretches), default=0)


class _WrittenLines:
    """Lines that are written to a file in groups, and the entries of their checksums, which will begin at the offset `start`."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file = file
        self.start = start
        self.entries = bytearray()

    def add(self, lines: Iterable[bytes]) -> list[_PartLines]:
        """Write the lines of a part; a group of them is read as a whole."""
        pending, groups = iter(lines), []
        for first in pending:
            crc32, size, count, at = 0, 0, 0, self.start + len(self.entries)
            for line in chain([first], islice(pending, PIECE_ROWS - 1)):
                crc32 = zlib.crc32(line, crc32)
                self.entries += entry(line)
                self._file.write(line)
                size, count = size + len(line), count + 1
                if size >= PIECE_CHARACTERS:
                    break
            groups.append(_PartLines(self._file.tell(), crc32, at, count))
        return groups
