"""Readers of one's own; stored task sets are tested with their formats."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from providers.errors import InputError
from sharding.tasks.sources import SourceSpec, TaskPool

Opened = Callable[..., TaskPool]

MODULE = """
from sharding.tasks.task import Task

def lines(path):
    for number, line in enumerate(path.read_text().splitlines()):
        yield {"input": line, "difficulty": "easy"} if number else Task("first", ({"role": "user", "content": line},))

def broken(path):
    yield {"input": "fine"}
    raise KeyError("answer")

def strange(path):
    yield 3

def bad_row(path):
    yield {"input": "fine"}
    yield {"text": "not mapped"}

def nothing(path):
    return None
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with a module of readers and a file to read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "their_readers.py").write_text(MODULE)
    monkeypatch.delitem(sys.modules, "their_readers", raising=False)
    (tmp_path / "data.txt").write_text("one\ntwo\n")
    return Path("data.txt")


def test_a_reader_yields_tasks_or_dicts(data: Path, active: Opened) -> None:
    before = list(sys.path)
    pool = active(SourceSpec(data, reader="their_readers:lines", scorer="exact"))
    assert [pool[row].task_id for row in range(len(pool))] == ["first", "data-2"]
    assert list(pool.kinds()) == [("default", "default"), ("default", "easy")]
    assert pool.kind(1) == ("default", "easy")
    assert (pool.scorer(0), pool.origin(1)) == ("exact", "data.txt, item 2")
    assert sys.path == before


@pytest.mark.parametrize(
    ("reader", "reason"),
    [
        ("their_readers", 'data.txt: reader must be bfcl or "module:function", not "their_readers"'),
        ("no_such_module:read", "data.txt: the reader no_such_module:read cannot be imported (No module named"),
        ("their_readers:gone", "data.txt: the reader their_readers:gone cannot be imported"),
        ("their_readers:broken", "data.txt, item 2: the reader their_readers:broken failed (KeyError: 'answer')"),
        ("their_readers:strange", "data.txt, item 1: the reader must yield tasks or dicts, not int"),
        ("their_readers:bad_row", "data.txt, item 2: has no input or question or prompt or messages"),
        ("their_readers:nothing", "data.txt, item 1: the reader their_readers:nothing failed (TypeError"),
    ],
)
def test_a_reader_that_fails_is_named(data: Path, active: Opened, reader: str, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        active(SourceSpec(data, reader=reader))
    assert str(caught.value).startswith(reason)


def test_a_reader_may_read_a_folder(tmp_path: Path, data: Path, active: Opened) -> None:
    (tmp_path / "their_folder.py").write_text(
        "def read(path):\n    return [{'input': p.read_text()} for p in sorted(path.iterdir())]\n"
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("A")
    (folder / "b").write_text("B")
    spec = SourceSpec(folder, reader="their_folder:read")
    first = active(spec)
    (folder / "b").write_text("C")
    assert len(first) == 2
    assert active(spec).fingerprint != first.fingerprint
