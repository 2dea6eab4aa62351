"""Journal lines: each has a checksum and a JSON object, so that a torn or damaged line is detected."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One line of a journal file as it was read."""

    number: int
    end: int
    """Byte offset after the line."""
    value: dict[str, Any] | None
    """The JSON object; None if the checksum does not match."""
    is_torn: bool
    """Whether it is the last line and has no newline: a crash interrupted the write."""


def frame(value: object) -> bytes:
    """Encode a mapping or a dataclass as a line: crc32, JSON, newline."""
    try:
        body = orjson.dumps(value)
    except TypeError:  # half of a surrogate pair cannot be encoded; it is replaced, so that it does not end the run
        body = orjson.dumps(_encodable(value))
    return b"%08x %b\n" % (zlib.crc32(body), body)


def _encodable(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _encodable(item) for name, item in asdict(value).items()}
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def read_lines(path: Path) -> Iterator[JournalLine]:
    """Yield every line of a journal file, including damaged ones."""
    end = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            end += len(raw)
            is_torn = not raw.endswith(b"\n")
            yield JournalLine(number, end, None if is_torn else _checked(raw), is_torn)


def _checked(raw: bytes) -> dict[str, Any] | None:
    body = raw[9:-1]
    try:
        if int(raw[:8], 16) != zlib.crc32(body):
            return None
        value = orjson.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the values of the intact lines of a file."""
    for line in read_lines(path):
        if line.value is not None:
            yield line.value
