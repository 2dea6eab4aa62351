"""Locks on files: shared by no two holders, held on a file that may be written, and plain words where a file system has none."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from providers.errors import InputError
from runners.locks import lock_file, lock_folder, queued_at


def flock_answers(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_a_second_holder_gets_none_until_the_first_has_ended(tmp_path: Path) -> None:
    with lock_file(tmp_path / "lock", "") as first, lock_file(tmp_path / "lock", "") as second:
        assert first is not None
        assert second is None
    with lock_file(tmp_path / "lock", "") as third:
        assert third is not None


def test_the_lock_is_on_a_file_that_may_be_written_so_that_it_is_shared_on_nfs(tmp_path: Path) -> None:
    with lock_file(tmp_path / "lock", "") as lock:
        assert lock is not None
        assert fcntl.fcntl(lock, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    flock_answers(monkeypatch, number)
    says = rf"^{tmp_path} is on a file system without locks \({os.strerror(number)}\): do this$"
    with pytest.raises(InputError, match=says), lock_file(tmp_path / "lock", "do this"):
        pass
    with queued_at(tmp_path / "lock"):
        pass  # nobody waits for a lock that cannot be had


def test_another_error_stays_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flock_answers(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output error"), lock_file(tmp_path / "lock", ""):
        pass
    with pytest.raises(OSError, match="Input/output error"), queued_at(tmp_path / "lock"):
        pass


def test_a_link_in_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"), lock_file(tmp_path / "lock", ""):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_version_0_1_has_locked_is_not_free(tmp_path: Path) -> None:
    with lock_folder(tmp_path) as is_free:
        assert is_free
        with lock_folder(tmp_path) as again:
            assert not again
    with lock_folder(tmp_path) as is_free:
        assert is_free
