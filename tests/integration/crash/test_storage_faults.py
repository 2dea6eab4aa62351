"""Where a call of the file system fails, a command says one sentence, ends with the right exit code, and the run goes on afterwards.

All of them, in hours: `python -m benchmarks.storage_faults`.
"""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from benchmarks.storage_faults.failing import READING
from benchmarks.storage_faults.scenes import SCENES
from benchmarks.storage_faults.trial import FaultOutcome, Scene, Workplace

STAYS = True
TABLE = (
    # scene, form, call, file, error, whether it stays, exit code, words
    ("run", "json", "flock", ".lock", errno.ENOLCK, not STAYS, 2, "without locks (No locks available): move the run"),
    ("run", "parquet", "flock", "KEY.lock", errno.EOPNOTSUPP, not STAYS, 2, "without locks (Operation not supported): set XDG_STATE_HOME"),
    ("run", "json", "flock", ".lock", errno.EIO, not STAYS, 3, "check the disk, then resume"),
    ("run", "parquet", "mkdir", "results", errno.EROFS, STAYS, 3, "make it writable, then resume"),
    ("run", "parquet", "fsync", "N.log", errno.EIO, STAYS, 3, "everything committed is safe: check the disk, then resume"),
    ("run", "json", "ftruncate", "results.jsonl", errno.EDQUOT, not STAYS, 3, "make room, then resume"),
    ("run", "json", "ftruncate", "KEY.lock", errno.EROFS, STAYS, 2, "set XDG_STATE_HOME"),
    ("run", "json", READING, "unresolved.jsonl", errno.EIO, not STAYS, 3, "check the disk"),
    ("run with debug log", "json", "write", "debug.log", errno.ENOSPC, not STAYS, 0, ""),
    ("export", "parquet", "write", ".records.csv.pending", errno.ENOSPC, STAYS, 3, "make room, then repeat the command"),
    ("export", "json", "open", ".records.csv.pending", errno.EROFS, STAYS, 2, "check the path and its permissions"),
    ("limits clear", "json", "rename", "limits.json", errno.EIO, STAYS, 3, "check the disk"),
)  # fmt: skip
SAMPLE = (TABLE[0], TABLE[4], TABLE[9])


def failed(workplace: Workplace, row: tuple[str, str, str, str, int, bool]) -> FaultOutcome | None:
    """Let the first such call of a scene fail."""
    name, form, call, file, error, stays = row
    scene: Scene = next(scene for scene in SCENES if scene.name == name)
    template = workplace.prepared(scene, form)
    calls = workplace.calls(scene, template)
    named = next((verb, path) for verb, path in calls if verb == call and path.rpartition("/")[2] == file)
    return workplace.perform(scene, template, 1, (error, stays), named)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "rows", [pytest.param(SAMPLE, id="sample"), pytest.param(TABLE, id="all", marks=pytest.mark.matrix)]
)
def test_an_error_of_the_disk_is_one_sentence_and_nothing_is_lost(
    tmp_path: Path, rows: tuple[tuple[str, str, str, str, int, bool, int, str], ...]
) -> None:
    with Workplace(tmp_path) as workplace:
        for *row, code, words in rows:
            outcome = failed(workplace, tuple(row))  # type: ignore[arg-type]
            assert outcome is not None, row
            assert (outcome.fault, outcome.code) == ("", code), outcome
            assert words in outcome.sentence, outcome


def test_a_run_without_locks_goes_on_and_says_what_is_risked(tmp_path: Path) -> None:
    scene = Scene(
        "run without locks",
        lambda folder: folder.start("--no-lock"),
        lambda _folder: None,
    )
    with Workplace(tmp_path) as workplace:
        folder = workplace.prepared(scene, "json")
        answer = folder.call(*scene.command(folder))
    assert answer.code == 0
    assert not [file for call, file in answer.calls if call == "flock" and file.endswith(("/.lock", "/KEY.lock"))]
    assert "run.lock is off: nothing keeps a second process from running this run" in answer.output
