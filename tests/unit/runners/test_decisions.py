"""One JSON line a decision, there at once."""

from __future__ import annotations

from pathlib import Path

import orjson

from runners.decisions import DecisionLog


def test_every_decision_is_in_the_file_before_the_next_and_a_resume_appends(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    for execution in range(2):
        log = DecisionLog(path)
        log("a", "instance_lost", {"why": "revoked", "execution": execution})
        assert len(path.read_bytes().splitlines()) == execution + 1
        log.close()
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert [(line["instance"], line["event"], line["execution"]) for line in lines] == [
        ("a", "instance_lost", 0),
        ("a", "instance_lost", 1),
    ]
    assert all(line["at"] > 0 for line in lines)
