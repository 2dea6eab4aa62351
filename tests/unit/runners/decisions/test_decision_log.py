"""One JSON line a decision, there at once."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from providers.errors import StorageError
from runners.decisions.decision_log import DecisionLog
from tests.unit.runners.journal.test_journal import files_of_at_most


def test_every_decision_is_in_the_file_before_the_next_and_a_resume_appends(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    for execution in range(2):
        log = DecisionLog(path)
        log("a", "instance_lost", {"evidence": "revoked", "execution": execution})
        assert len(path.read_bytes().splitlines()) == execution + 1
        log.close()
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert [(line["instance"], line["event"], line["execution"]) for line in lines] == [
        ("a", "instance_lost", 0),
        ("a", "instance_lost", 1),
    ]
    assert all(line["at"] > 0 for line in lines)


def test_a_line_that_a_crash_cut_off_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(b'{"at": 1, "inst')
    log = DecisionLog(path)
    log("a", "health", {})
    log.close()
    assert orjson.loads(path.read_bytes().splitlines()[1])["event"] == "health"


def test_a_full_disk_costs_the_decisions_and_never_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "decisions.jsonl"
    log = DecisionLog(path)
    log("a", "health", {})
    whole = path.read_bytes()
    with files_of_at_most(len(whole) + 10):
        for _ in range(3):
            log("a", "health", {})
    log.close()
    assert path.read_bytes() == whole
    (said,) = caplog.messages
    assert said.endswith("decisions.jsonl: File too large; no more decisions are logged in this run")


def test_a_log_that_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot write \S+: Is a directory; everything committed is safe"):
        DecisionLog(tmp_path)
