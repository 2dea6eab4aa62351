"""Journal lines: what goes in comes out, and what is torn or damaged is known for what it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from runners.journal.frames import frame, frame_record, read_lines, rows
from tests.unit.runners.doubles import a_record

VALUES = [
    {"n": 1},
    {"text": 'quote " backslash \\ newline \n null \0 emoji 🙂 \u2028'},
    {"nested": [1, None, {"a": 2.5}]},
]


def written(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"".join(lines))
    return path


def test_every_value_comes_back_as_it_was(tmp_path: Path) -> None:
    assert list(rows(written(tmp_path / "log", *map(frame, VALUES)))) == VALUES


def test_a_line_is_one_line_whatever_is_in_it() -> None:
    assert all(frame(value).count(b"\n") == 1 for value in VALUES)


def test_a_line_without_its_newline_is_torn_at_every_length(tmp_path: Path) -> None:
    whole, last = frame(VALUES[0]), frame(VALUES[1])
    for length in range(1, len(last)):
        first, second = read_lines(written(tmp_path / "log", whole, last[:length]))
        assert (first.value, first.is_torn, first.end) == (VALUES[0], False, len(whole))
        assert (second.value, second.is_torn) == (None, True)


def test_any_changed_byte_damages_its_line_and_no_other(tmp_path: Path) -> None:
    lines = [frame(value) for value in VALUES]
    for position in range(len(lines[1])):
        if position == 8:  # the blank between checksum and body holds nothing
            continue
        damaged = bytearray(lines[1])
        damaged[position] ^= 0x01
        found = list(rows(written(tmp_path / "log", lines[0], bytes(damaged), lines[2])))
        assert VALUES[0] in found
        assert VALUES[1] not in found
        assert len(found) == (2 if position < len(lines[1]) - 1 else 1)  # without its newline it swallows the next


@pytest.mark.parametrize("line", [b"\n", b"\0\0\0\0\n", b"not a checksum at all\n", b"00000000 {}\n", frame([1, 2])])
def test_what_is_no_object_with_its_checksum_is_damaged(tmp_path: Path, line: bytes) -> None:
    (found,) = read_lines(written(tmp_path / "log", line))
    assert (found.value, found.is_torn, found.number) == (None, False, 1)


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    assert list(read_lines(written(tmp_path / "log"))) == []


def test_half_of_a_surrogate_pair_is_replaced_and_the_rest_kept(tmp_path: Path) -> None:
    line_bytes, encoded = frame_record(a_record(3, output_text="a\ud800b", score=0.5))
    assert encoded == a_record(3, output_text="a?b", score=0.5)
    (line,) = rows(written(tmp_path / "log", line_bytes))
    row: Mapping[str, object] = line
    assert (row["output_text"], row["ordinal"], row["score"], row["tool_coverage"]) == ("a?b", 3, 0.5, None)
