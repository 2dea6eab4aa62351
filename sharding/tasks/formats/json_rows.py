"""Rows of JSON Lines (OpenAI Batch files among them) and of JSON arrays, found by byte offset."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import orjson

from providers.errors import InputError

from ..columns import Row
from .exact_numbers import file_has_long_number, has_long_number, loads_exactly
from .json_document import element_spans
from .offset_index import BOM, OffsetIndex, decode_object, skip_bom


class JsonLines:
    """The rows of a file with one JSON object per line; blank lines are skipped."""

    def __init__(self, path: Path, data: Path | None = None) -> None:
        self._index = OffsetIndex(path, data)
        self.where = self._index.where
        self.close = self._index.close

    def scan(self) -> Iterator[Row]:
        """Yield every row and index its offset. Raises InputError with file and line."""
        index = self._index
        if file_has_long_number(index.data):
            index.decode = loads_exactly
        with index.data.open("rb") as file:
            offset = skip_bom(file)
            for line in file:
                if not line.isspace():
                    index.starts.append(offset)
                    yield decode_object(line, index)
                offset += len(line)

    def read(self, number: int) -> Row:
        """Read a row. Raises ValueError where it is not valid JSON."""
        index = self._index
        return index.decode(index.read(number))  # type: ignore[return-value]  # the scan has seen an object there


class JsonArray:
    """The rows of a JSON array of objects: the whole file is in memory during the scan, afterwards only single rows."""

    def __init__(self, path: Path, data: Path | None = None, rows: str | None = None) -> None:
        """Open the file. `rows` is the dotted path of the array; None where the document is the array."""
        self._index = OffsetIndex(path, data)
        self._rows = rows
        self.where = self._index.where
        self.close = self._index.close

    def scan(self) -> Iterator[Row]:
        """Yield every row and index its offset. Raises InputError with file and line."""
        index = self._index
        data = index.data.read_bytes()
        if has_long_number(data):
            index.decode = loads_exactly
        offset, end = (len(BOM) if data.startswith(BOM) else 0), 0
        text = _decode(data, index.path)
        for span in element_spans(text, index.path, self._rows):
            offset += len(text[end : span.start].encode())
            element = text[span.start : span.stop].encode()
            index.starts.append(offset)
            yield decode_object(element, index)
            offset, end = offset + len(element), span.stop

    def read(self, number: int) -> Row:
        """Read a row. Raises ValueError where it is not valid JSON."""
        data = _first_object(self._index.read(number))
        return self._index.decode(data)  # type: ignore[return-value]  # the scan has seen an object there


def _decode(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text; save the file as UTF-8") from error


def _first_object(data: bytes) -> bytes:
    """Cut off what follows an element: the comma before the next one, or after the last the end of the document."""
    try:
        orjson.loads(end := data[: data.rindex(b"}") + 1])
    except orjson.JSONDecodeError:
        text = data.decode()
        return text[: json.JSONDecoder().raw_decode(text)[1]].encode()
    return end
