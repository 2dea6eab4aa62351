"""Journal lines: each has a checksum and a JSON object, so that a torn or damaged line is detected."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, cast

import orjson

from ..samples.record import Record


class JournalRow(TypedDict, total=False):
    """What a line holds: a record, or a mark. Of a record, these are the columns that are read from the journal."""

    started: list[int]
    """Mark: ordinals of samples that are about to be sent."""
    committed: float
    """Mark: when the records before it were on the disk, in seconds since the epoch."""
    closed: bool
    """Mark: the execution came to its end."""
    segment: int
    """Mark in the unresolved log: the segment that the next records are from."""
    ordinal: int
    outcome: str
    error_class: str | None
    instance: str | None
    completed_at: str
    write_s: float | None
    input_tokens: int
    output_tokens: int
    judge_input_tokens: int
    judge_output_tokens: int
    cost_usd: float | None
    judge_cost_usd: float | None
    cache_hit: bool


SHORT_LINE_BYTES = 1_500
"""About the bytes of a line without its text."""


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One line of a journal file as it was read."""

    number: int
    end: int
    """Byte offset after the line."""
    value: JournalRow | None
    """The JSON object; None if the checksum does not match."""
    is_torn: bool
    """Whether it is the last line and has no newline: a crash interrupted the write."""


def frame(value: object) -> bytes:
    """Encode a mapping or a dataclass as a line: crc32, JSON, newline."""
    body = orjson.dumps(value)
    return b"%08x %b\n" % (zlib.crc32(body), body)


def frame_record(record: Record) -> tuple[bytes, Record]:
    """Encode a record as a line. Returns the record that was encoded, too: half of a surrogate pair is replaced in it."""
    try:
        return frame(record), record
    except TypeError:  # it does not end the run
        values: dict[str, Any] = {name: _encodable(value) for name, value in asdict(record).items()}
        encodable = replace(record, **values)
        return frame(encodable), encodable


def line_size(record: Record) -> int:
    """Estimate the bytes of a record's line by its text, which alone can be long."""
    size = SHORT_LINE_BYTES + len(record.input)
    for text in (record.output_text, record.messages, record.reasoning_text, record.raw_response, record.tool_trace):
        if text:
            size += len(text)
    return size


def _encodable(value: object) -> object:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def read_lines(path: Path) -> Iterator[JournalLine]:
    """Yield every line of a journal file, including damaged ones."""
    end = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            end += len(raw)
            is_torn = not raw.endswith(b"\n")
            yield JournalLine(number, end, None if is_torn else _checked(raw), is_torn)


def _checked(raw: bytes) -> JournalRow | None:
    body = raw[9:-1]
    try:
        if int(raw[:8], 16) != zlib.crc32(body):
            return None
        value = orjson.loads(body)
    except ValueError:
        return None
    return cast("JournalRow", value) if isinstance(value, dict) else None  # its checksum fits: it is as we wrote it


def rows(path: Path) -> Iterator[JournalRow]:
    """Yield the values of the intact lines of a file."""
    for line in read_lines(path):
        if line.value is not None:
            yield line.value
