"""Records of CSV files, found by byte offset. Python's own parser decides where a record ends, at the scan as at every read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from providers.errors import InputError
from providers.suggestion import suggestion

from .columns import Row
from .offset_index import OffsetIndex, skip_bom

LONGEST_FIELD = 2**31 - 1
"""Characters; the parser's own bound of 131,072 is shorter than many a prompt."""


class CsvRecords:
    """A header and records, whose quoted fields may hold newlines. An empty field is null."""

    def __init__(self, path: Path, named: Sequence[str]) -> None:
        """`named` are the columns that the header must have."""
        self._index = OffsetIndex(path)
        self._named = named
        self._header: list[str] = []
        self.where = self._index.where
        self.close = self._index.close

    def scan(self) -> Iterator[Row]:
        csv.field_size_limit(LONGEST_FIELD)
        with self._index.path.open("rb") as file:
            lines = _CountedLines(file, skip_bom(file))
            start = lines.offset
            try:
                records = csv.reader(lines, strict=True)
                self._header = self._checked(next(records, []))
                start = lines.offset
                for values in records:
                    if values:
                        self._index.starts.append(start)
                        yield self._checked_row(values)
                    start = lines.offset
            except (csv.Error, UnicodeDecodeError) as error:
                self._index.starts.append(start)
                raise InputError(f"{self._index.where_last()}: {_fault(error)}") from error

    def read(self, number: int) -> Row:
        lines = (line.decode() for line in io.BytesIO(self._index.read(number)))
        try:
            return self._row(next(csv.reader(lines, strict=True), []))
        except csv.Error as error:
            raise ValueError(str(error)) from error

    def _row(self, values: list[str]) -> Row:
        return {column: value or None for column, value in zip(self._header, values, strict=True)}

    def _checked_row(self, values: list[str]) -> Row:
        if len(values) == len(self._header):
            return self._row(values)
        counts = f"has {len(values)} fields where the header has {len(self._header)}"
        raise InputError(f"{self._index.where_last()}: {counts}; fix or remove the record")

    def _checked(self, header: list[str]) -> list[str]:
        path = self._index.path
        if len(set(header)) != len(header):
            raise InputError(f"{path}, line 1: a column name stands twice in the header; rename one")
        for column in self._named:
            if header and column not in header:
                raise InputError(f'{path}, line 1: the header has no column "{column}"; {suggestion(column, header)}')
        return header


class _CountedLines:
    """Lines of a file as text, with the offset after the last one that was asked for."""

    def __init__(self, lines: Iterable[bytes], offset: int) -> None:
        self._lines = iter(lines)
        self.offset = offset

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.offset += len(line)
        return line.decode()


def _fault(error: csv.Error | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8 text; save the file as UTF-8"
    return f"not valid CSV ({error}); fix or remove the record"
