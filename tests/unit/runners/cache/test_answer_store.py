"""The answers on disk: bounds, age, damage, other processes."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from providers.errors import InputError
from runners.cache.answer_store import FILE, AnswerStore
from runners.cache.network_disk import network_file_system

WEEK_S = 604_800.0
NEVER_FULL = 1 << 40


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_it_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    with closing(AnswerStore(tmp_path / "own", NEVER_FULL, WEEK_S)) as store:
        store.put(key(1), "m", b"value")
    assert stat.S_IMODE((tmp_path / "own").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "own").iterdir()} == {0o600}


def test_what_is_put_is_there_after_it_is_closed_and_is_replaced_by_what_is_put_later(tmp_path: Path) -> None:
    with closing(AnswerStore(tmp_path, NEVER_FULL, WEEK_S)) as store:
        for number in range(1_000):
            store.put(key(number), "m", b"old")
        store.put(key(1), "m", b"new")
    with closing(AnswerStore(tmp_path, NEVER_FULL, WEEK_S)) as store:
        assert [store.find(key(number)) for number in (0, 1, 999, 1_000)] == [b"old", b"new", b"old", None]
        assert store.figures().entries == 1_000
        assert store.figures().by_model == (("m", 1_000),)


def test_an_old_answer_is_not_found(tmp_path: Path) -> None:
    with closing(AnswerStore(tmp_path, NEVER_FULL, WEEK_S)) as store:
        store.put(key(1), "m", b"old", at=1.0)
        store.put(key(2), "m", b"new")
    with closing(AnswerStore(tmp_path, NEVER_FULL, WEEK_S)) as store:
        assert (store.find(key(1)), store.find(key(2))) == (None, b"new")
        assert store.clear(older_than_s=WEEK_S) == 1
        assert store.clear() == 1


def test_the_oldest_go_first_when_it_is_full(tmp_path: Path) -> None:
    with closing(AnswerStore(tmp_path, 1_000_000, WEEK_S)) as store:
        for number in range(2_000):
            store.put(key(number), "m", bytes(2_000), at=4e9 + number)
    with closing(AnswerStore(tmp_path, 1_000_000, WEEK_S)) as store:
        assert store.figures().size <= 1_000_000
        assert store.find(key(0)) is None
        assert store.find(key(1_999)) is not None


def test_two_processes_share_it(tmp_path: Path) -> None:
    with (
        closing(AnswerStore(tmp_path, NEVER_FULL, WEEK_S)) as one,
        closing(AnswerStore(tmp_path, NEVER_FULL, WEEK_S)) as two,
    ):
        for number in range(600):
            (one, two)[number % 2].put(key(number), "m", b"value")
    with closing(AnswerStore(tmp_path, NEVER_FULL, WEEK_S)) as store:
        assert store.figures().entries == 600


@pytest.mark.parametrize("damage", [b"no database", b"SQLite format 3\0" + bytes(4_000)])
def test_a_damaged_file_is_set_aside_and_a_new_one_begins(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(damage)
    with closing(AnswerStore(tmp_path, NEVER_FULL, WEEK_S)) as store:
        store.put(key(1), "m", b"value")
    with closing(AnswerStore(tmp_path, NEVER_FULL, WEEK_S)) as store:
        assert store.find(key(1)) == b"value"
    assert (tmp_path / f"{FILE}.damaged").read_bytes() == damage
    assert "set aside" in caplog.text


def test_a_disk_that_takes_nothing_more_ends_the_keeping_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(AnswerStore(tmp_path, NEVER_FULL, WEEK_S)) as store:
        with closing(sqlite3.connect(store.path)) as connection:
            connection.execute("DROP TABLE answers")
        for number in range(600):
            store.put(key(number), "m", b"value")
        assert store.find(key(1)) in {None, b"value"}
    assert "keeps nothing more" in caplog.text


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cache.dir: .*file/cache.* can't be opened"):
        AnswerStore(tmp_path / "file" / "cache", NEVER_FULL, WEEK_S)


@pytest.mark.parametrize(("kind", "found"), [("nfs4", "nfs4"), ("lustre", "lustre"), ("ext4", None), ("tmpfs", None)])
def test_a_network_file_system_is_recognised_by_the_longest_mount(tmp_path: Path, kind: str, found: str | None) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw shared:1 - ext4 /dev/a rw\n"
        f"23 22 0:40 / /home/a\\040b rw shared:2 - {kind} server:/a rw\n"
        "24 22 0:41 / /home rw - btrfs /dev/b rw\n"
    )
    assert network_file_system(Path("/home/a b/cache"), mounts) == found
    assert network_file_system(Path("/home/c"), mounts) is None


def test_what_is_not_committed_yet_is_found(tmp_path: Path) -> None:
    with closing(AnswerStore(tmp_path, NEVER_FULL, WEEK_S)) as store:
        store.put(key(1), "m", b"value")
        assert store.find(key(1)) == b"value"


def test_an_older_answer_that_is_imported_does_not_replace_a_newer_one(tmp_path: Path) -> None:
    with closing(AnswerStore(tmp_path, NEVER_FULL, WEEK_S)) as store:
        store.put(key(1), "m", b"new")
    with closing(AnswerStore(tmp_path, NEVER_FULL, WEEK_S)) as store:
        store.put(key(1), "m", b"old", at=4_000.0)
    with closing(AnswerStore(tmp_path, NEVER_FULL, WEEK_S)) as store:
        assert store.find(key(1)) == b"new"


def test_damage_that_is_found_while_it_is_read_sets_the_file_aside_at_the_next_opening(tmp_path: Path) -> None:
    with closing(AnswerStore(tmp_path, NEVER_FULL, WEEK_S)) as store:
        for number in range(2_000):
            store.put(key(number), "m", bytes(500))
    with closing(AnswerStore(tmp_path, NEVER_FULL, WEEK_S)) as store:
        content = bytearray(store.path.read_bytes())
        content[100_000:900_000] = bytes(800_000)
        store.path.write_bytes(content)
        with closing(AnswerStore(tmp_path, NEVER_FULL, WEEK_S)) as reader:
            assert any(reader.find(key(number)) is None for number in range(2_000))
    with closing(AnswerStore(tmp_path, NEVER_FULL, WEEK_S)) as store:
        assert store.figures().entries == 0
        assert (tmp_path / f"{FILE}.damaged").exists()
