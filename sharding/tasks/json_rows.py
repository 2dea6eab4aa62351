"""Rows of JSON Lines (OpenAI Batch files among them) and of JSON arrays, found by byte offset."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import orjson

from providers.errors import InputError

from .columns import Row
from .offset_index import BOM, OffsetIndex, decode_object, skip_bom

BLANK = re.compile(r"[ \t\r\n]*")


class JsonLines:
    """The rows of a file with one JSON object per line; blank lines are skipped."""

    def __init__(self, path: Path) -> None:
        self._index = OffsetIndex(path)
        self.where = self._index.where
        self.close = self._index.close

    def scan(self) -> Iterator[Row]:
        """Yield every row and index its offset. Raises InputError with file and line."""
        index = self._index
        with index.path.open("rb") as file:
            offset = skip_bom(file)
            for line in file:
                if not line.isspace():
                    index.starts.append(offset)
                    yield decode_object(line, index)
                offset += len(line)

    def read(self, number: int) -> Row:
        """Read a row. Raises ValueError where it is not valid JSON."""
        row: Row = orjson.loads(self._index.read(number))
        return row


class JsonArray:
    """The rows of a JSON array of objects: the whole file is in memory during the scan, afterwards only single rows."""

    def __init__(self, path: Path) -> None:
        self._index = OffsetIndex(path)
        self.where = self._index.where
        self.close = self._index.close

    def scan(self) -> Iterator[Row]:
        """Yield every row and index its offset. Raises InputError with file and line."""
        index = self._index
        data = index.path.read_bytes()
        offset, end = (len(BOM) if data.startswith(BOM) else 0), 0
        text = _decode(data, index.path)
        for span in _element_spans(text, index.path):
            offset += len(text[end : span.start].encode())
            element = text[span.start : span.stop].encode()
            index.starts.append(offset)
            yield decode_object(element, index)
            offset, end = offset + len(element), span.stop

    def read(self, number: int) -> Row:
        """Read a row. Raises ValueError where it is not valid JSON."""
        data = self._index.read(number)
        row: Row = orjson.loads(data[: data.rindex(b"}") + 1])
        return row


def _decode(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text; save the file as UTF-8") from error


def _element_spans(text: str, path: Path) -> Iterator[range]:
    """Yield the span of each element of the top-level array, in characters."""
    decode = json.JSONDecoder().raw_decode
    place = _skip_blank(text, 0)
    if not text.startswith("[", place):
        raise InputError(
            f"{path}: a .json task set must be one array of objects; name a file with one object per line .jsonl"
        )
    place = _skip_blank(text, place + 1)
    while not text.startswith("]", place):
        try:
            _, end = decode(text, place)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}, line {error.lineno}: not valid JSON ({error.msg}); fix the line") from error
        except (RecursionError, ValueError) as error:
            line = text.count("\n", 0, place) + 1
            raise InputError(f"{path}, line {line}: nested too deeply or a number too long; fix the element") from error
        yield range(place, end)
        place = _skip_blank(text, end)
        if text.startswith(",", place):
            place = _skip_blank(text, place + 1)
        elif not text.startswith("]", place):
            line = text.count("\n", 0, place) + 1
            raise InputError(f"{path}, line {line}: not valid JSON (no comma or ] after an element); fix the line")


def _skip_blank(text: str, place: int) -> int:
    match = BLANK.match(text, place)
    return match.end() if match else place
