"""Rows of JSON Lines (OpenAI Batch files among them) and of JSON arrays, found by byte offset."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from io import BytesIO
from itertools import accumulate, chain
from operator import itemgetter
from pathlib import Path
from typing import cast

import orjson

from providers.errors import InputError
from providers.messages import JSON

from ...conversation import ROLES
from ..columns import Row
from .exact_numbers import has_long_number, loads_exactly
from .json_document import element_spans
from .offset_index import BOM, OffsetIndex, decode_object, skip_bom

BATCH_BYTES = 1 << 16
"""About the bytes of the lines that are in memory at once: few, so that they stay in the processor's cache."""
OBJECTS = frozenset({dict, type(None)})
MESSAGE_KEYS = 2
"""Role and content."""


class LineBatch:
    """A batch of lines, which are indexed and parsed. It has no columns where a line is no JSON object."""

    def __init__(self, index: OffsetIndex, lines: Sequence[bytes], rows: Sequence[Row], first: int) -> None:
        """Hold lines, of which the first is record `first`, and their rows: none where a line is no JSON object."""
        self._index = index
        self._lines = lines
        self._first = first
        self._rows = rows
        self.columns: Collection[str] = set().union(*self._rows)

    def __len__(self) -> int:
        return len(self._lines)

    def rows(self) -> Iterator[Row]:
        """Yield the rows. Raises InputError with file and line."""
        if self._rows:
            yield from self._rows
            return
        for number, line in enumerate(self._lines, start=self._first):
            yield decode_object(line, self._index, number)

    def values(self, column: str) -> Sequence[JSON] | None:
        """Return the value of every row; None where a row lacks the column."""
        try:
            return list(map(itemgetter(column), self._rows))
        except KeyError:
            return None

    def has_texts(self, column: str) -> bool:
        """Return whether every value is a text."""
        values = self.values(column)
        return values is not None and set(map(type, values)) == {str}

    def has_messages(self, column: str) -> bool:
        """Return whether every value is a list of messages with a role and a text only."""
        values = self.values(column)
        if values is None or set(map(type, values)) != {list} or not all(values):
            return False
        messages = list(chain.from_iterable(cast("list[list[Row]]", values)))
        try:
            has_other_keys = set(map(len, messages)) != {MESSAGE_KEYS}
            roles, contents = set(map(itemgetter("role"), messages)), map(itemgetter("content"), messages)
            return not has_other_keys and roles.issubset(ROLES) and set(map(type, contents)) == {str}
        except (KeyError, TypeError):  # one is no object, or has another key
            return False

    def has_objects(self, column: str, without: str) -> bool:
        """Return whether every value is null or an object that JSON can hold, without this key."""
        values = self.values(column)
        if values is None or not OBJECTS.issuperset(map(type, values)):
            return False
        if any(value and without in value for value in values):  # type: ignore[operator]  # objects all
            return False
        try:
            orjson.dumps(values)
        except TypeError:  # nested too deeply
            return False
        return True


class JsonLines:
    """The rows of a file with one JSON object per line; blank lines are skipped."""

    def __init__(self, path: Path, data: Path | None = None) -> None:
        self._index = OffsetIndex(path, data)
        self.where = self._index.where
        self.share = self._index.share
        self.close = self._index.close

    def scan(self) -> Iterator[Row]:
        """Yield every row and index its offset. Raises InputError with file and line."""
        return chain.from_iterable(batch.rows() for batch in self.batches())

    def batches(self) -> Iterator[LineBatch]:
        """Yield every row and index its offset, in batches. Raises InputError with file and line."""
        index = self._index
        with index.data.open("rb") as file:
            offset = skip_bom(file)
            while data := file.read(BATCH_BYTES) + file.readline():
                if has_long_number(data):
                    index.decode = loads_exactly
                yield self._batch(data, offset)
                offset += len(data)

    def _batch(self, data: bytes, offset: int) -> LineBatch:
        """Index and parse the lines of `data`, which is at `offset` of the file."""
        index, lines = self._index, BytesIO(data).readlines()
        *starts, _ = accumulate(map(len, lines), initial=offset)
        rows = _parsed(index, lines)
        if not rows and any(map(bytes.isspace, lines)):
            starts = [start for start, line in zip(starts, lines, strict=True) if not line.isspace()]
            lines = [line for line in lines if not line.isspace()]
            rows = _parsed(index, lines)
        first = len(index.starts)
        index.starts.extend(starts)
        return LineBatch(index, lines, rows, first)

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
        self.share = self._index.share
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
            yield decode_object(element, index, len(index.starts) - 1)
            offset, end = offset + len(element), span.stop

    def read(self, number: int) -> Row:
        """Read a row. Raises ValueError where it is not valid JSON."""
        data = _first_object(self._index.read(number))
        return self._index.decode(data)  # type: ignore[return-value]  # the scan has seen an object there


def _parsed(index: OffsetIndex, lines: Sequence[bytes]) -> list[Row]:
    """Parse all lines; return an empty list where one is no object."""
    try:
        rows = list(map(index.decode, lines))
    except orjson.JSONDecodeError:
        return []
    return cast("list[Row]", rows) if set(map(type, rows)) <= {dict} else []


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
