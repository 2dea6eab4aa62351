"""Records of CSV files, found by byte offset. Python's parser decides where a record ends, both in the scan and in every read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from providers.errors import InputError
from providers.suggestion import suggestion

from ..columns import Row
from ..dotted import has_path
from .offset_index import OffsetIndex, skip_bom

OTHER_SEPARATORS = (";", "\t", "|")
"""Signs between columns that spreadsheets write and this reader does not split at."""
LONGEST_FIELD = 2**31 - 1
"""Most characters of a field; the parser's default of 131,072 is shorter than many prompts."""


class CsvRecords:
    """The records of a CSV file with a header. Quoted fields may contain newlines; an empty field is null."""

    def __init__(self, path: Path, named: Sequence[str], data: Path | None = None) -> None:
        """Open the file. `named` are the columns that the header must have."""
        self._index = OffsetIndex(path, data)
        self._named = named
        self._header: list[str] = []
        self.where = self._index.where
        self.share = self._index.share
        self.close = self._index.close

    def scan(self) -> Iterator[Row]:
        """Yield every record and index its offset. Raises InputError with file and line."""
        csv.field_size_limit(LONGEST_FIELD)
        with self._index.data.open("rb") as file:
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
        """Read a record. Raises ValueError where it is not valid CSV."""
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
            raise InputError(f"{path}, line 1: the header has two columns with the same name; rename one")
        if len(header) == 1 and (separator := next((sign for sign in OTHER_SEPARATORS if sign in header[0]), None)):
            raise InputError(f"{path}, line 1: its columns are separated by {separator!r}; save the file with commas")
        for column in self._named:
            if header and not has_path(header, column):
                raise InputError(f'{path}, line 1: the header has no column "{column}"; {suggestion(column, header)}')
        return header


class _CountedLines:
    """An iterator over the lines of a file that counts the offset after the last line returned."""

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
