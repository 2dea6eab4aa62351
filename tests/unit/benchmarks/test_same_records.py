"""Two runs are the same where every sample has one record on both sides and the content columns agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.same_records import SCHEDULED, ValueDifference, compare_records, describe, find_run

Row = dict[str, Any]


def row(sample_id: str, **columns: object) -> Row:
    return {"sample_id": sample_id, "raw_response": None, "error_message": None, "instance": "a/1", **columns}


def test_what_scheduling_decides_is_no_difference() -> None:
    a, b = ({column: f"{column} {side}" for column in SCHEDULED} for side in "ab")
    comparison = compare_records([row("1", **a, score=1.0)], [row("1", **b, score=1.0)])
    assert not comparison.differences
    assert comparison.columns == ["error_message", "raw_response", "sample_id", "score"]


def test_another_value_in_a_content_column_is_a_difference() -> None:
    comparison = compare_records([row("1", score=1.0), row("2", score=0.0)], [row("2", score=0.5), row("1", score=1.0)])
    assert comparison.differences == [ValueDifference("2", "score", 0.0, 0.5)]
    assert "2  score: 0.0 | 0.5" in describe(comparison)


def test_a_record_that_is_missing_or_occurs_twice_is_a_difference() -> None:
    comparison = compare_records([row("1"), row("2"), row("2")], [row("2"), row("3")])
    assert [(d.sample_id, d.a, d.b) for d in comparison.differences] == [("1", 1, 0), ("2", 2, 1), ("3", 0, 1)]


def test_a_column_of_one_side_is_listed_and_is_no_difference() -> None:
    comparison = compare_records([row("1", old=1)], [row("1", new=2)])
    assert (comparison.only_a, comparison.only_b, comparison.differences) == (["old"], ["new"], [])
    assert "only in A: old\nonly in B: new" in describe(comparison)


def test_a_folder_that_holds_one_run_stands_for_it(tmp_path: Path) -> None:
    results = tmp_path / "first" / "results"
    results.mkdir(parents=True)
    (results / "results.jsonl").write_text(json.dumps(row("1")))
    assert find_run(tmp_path) == find_run(tmp_path / "first") == tmp_path / "first"
    (tmp_path / "second" / "results").mkdir(parents=True)
    with pytest.raises(SystemExit, match="contains 2 of them"):
        find_run(tmp_path)
