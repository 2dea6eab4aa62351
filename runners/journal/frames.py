"""Journal lines: a checksum and a JSON object each, so that a torn or damaged line is known for what it is."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class JournalLine:
    number: int
    end: int
    """Byte offset behind the line."""
    value: dict[str, Any] | None
    """None where the checksum does not fit."""
    is_torn: bool
    """The last line, without its newline: a write that a crash cut off."""


def frame(value: object) -> bytes:
    """`crc32 json newline` of a mapping or a dataclass."""
    try:
        body = orjson.dumps(value)
    except TypeError:  # half of a surrogate pair: no file can hold it, and one odd character must not end a run
        body = orjson.dumps(_encodable(value))
    return b"%08x %b\n" % (zlib.crc32(body), body)


def _encodable(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _encodable(item) for name, item in asdict(value).items()}
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def read_lines(path: Path) -> Iterator[JournalLine]:
    """Every line of a journal file, the damaged ones too."""
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
    """The intact values of a file."""
    for line in read_lines(path):
        if line.value is not None:
            yield line.value
