"""All of a file or nothing of it."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest

from providers.errors import StorageError
from runners.durable import LineFile, fsync_directory, replace_file, storing
from tests.unit.runners.journal.test_journal import files_of_at_most


def _write(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def test_a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    for content in (b"first, and longer", b"second"):
        replace_file(path, partial(_write, content))
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(b"old")

    def half(file: BinaryIO) -> None:
        file.write(b"ne")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        replace_file(path, half)
    assert path.read_bytes() == b"old"
    assert not [name for name in tmp_path.glob("*") if name != path and not name.name.startswith(".")]


def test_the_next_write_is_not_disturbed_by_what_a_crash_left(tmp_path: Path) -> None:
    (tmp_path / ".a.pending").write_bytes(b"much longer than what comes now")
    replace_file(tmp_path / "a", lambda file: file.write(b"new"))
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fsync_directory(tmp_path / "nowhere")


def test_what_a_full_disk_refused_takes_no_room(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="File too large"), files_of_at_most(10):
        replace_file(tmp_path / "a", lambda file: file.write(b"x" * 100))
    assert list(tmp_path.iterdir()) == []


def test_lines_are_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"cut o")
    file = LineFile(path)
    file.append(b"one\n")
    with pytest.raises(OSError, match="File too large"), files_of_at_most(12):
        file.append(b"two, too long\n")
    file.append(b"three\n")
    file.close()
    assert path.read_bytes() == b"cut o\none\nthree\n"


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EDQUOT, "make room"),
        (errno.EFBIG, "make room"),
        (errno.EROFS, "make it writable"),
        (errno.EIO, "check the disk"),
    ],
)
def test_what_the_disk_refuses_is_one_sentence_that_says_what_helps(number: int, advice: str, tmp_path: Path) -> None:
    expected = f"cannot write {tmp_path}: {os.strerror(number)}; everything committed is safe: {advice}, then resume"
    with pytest.raises(StorageError) as stop, storing(tmp_path):
        raise OSError(number, os.strerror(number))
    assert str(stop.value) == expected
