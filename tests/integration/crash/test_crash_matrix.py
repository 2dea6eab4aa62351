"""A run that is killed anywhere on its way to the disk is completed by a resume, and ends with what an undisturbed run ends with.

More of the same, at other moments: `python -m benchmarks.crash_matrix --trials 200`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.crash_matrix.matrix import INT, RANDOM_KILL, TERM, chosen_trials, perform, table
from benchmarks.crash_matrix.points import FORMS, POINTS, NoSuchPoint, require_points
from benchmarks.crash_matrix.stored_records import content
from benchmarks.crash_matrix.trial import SAMPLES, Workshop

SEED = 20_261_121

TRIALS = (
    ("manifest: half of the temporary written", "parquet", ""),
    ("manifest: renamed", "json", ""),
    ("segment: created", "parquet", "segment: created"),
    ("journal append: before write", "parquet", ""),
    ("journal append: half of the bytes written", "json", RANDOM_KILL),
    ("journal append: written, before fsync", "parquet", ""),
    ("journal append: after fsync, before counted", "json", ""),
    ("segment: half of its seal written", "parquet", ""),
    ("segment: sealed", "json", "segment: marks half carried over"),
    ("part: half of a write to the temporary", "parquet", ""),
    ("part: temporary written, before fsync", "parquet", ""),
    ("part: before rename", "parquet", "part: before rename"),
    ("part: after rename, before directory fsync", "parquet", ""),
    ("part: durable, before segment unlink", "parquet", "segment: unlinked, before directory fsync"),
    ("results.jsonl: half of a write", "json", "results.jsonl: durable, before its index"),
    ("index: before rename", "json", ""),
    ("index: after rename, before segment unlink", "json", ""),
    ("unresolved: half appended", "parquet", ""),
    ("unresolved: appended, before segment unlink", "json", ""),
    ("unresolved: half of its replacement written", "parquet", ""),
    ("spending: half of the settlement written", "json", "spending: settled, before the segments are deleted"),
    ("executions: half of the note written", "json", "learned limits: before rename"),
    ("line checksums: half of them written", "json", ""),
    ("resume: half of the marks written", "parquet", "resume: marks renamed"),
    ("repair: damaged part, before its unlink", "parquet", ""),
    ("repair: new index durable", "json", "repair: half of the new results written"),
    ("repair: results replaced, before their index", "json", ""),
    ("rescore: half of a part written", "parquet", ""),
    ("rescore: before the folder gets its name", "json", "rescore: folder has its name"),
    (RANDOM_KILL, "parquet", RANDOM_KILL),
    (TERM, "parquet", ""),
    (INT, "json", RANDOM_KILL),
)


SAMPLE = [*TRIALS[4:21:6], *TRIALS[24:30:2]]
"""Of each part of the write path one."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "trials", [pytest.param(SAMPLE, id="sample"), pytest.param(TRIALS, id="all", marks=pytest.mark.matrix)]
)
def test_whatever_a_run_is_killed_at_its_resume_ends_with_what_an_undisturbed_run_ends_with(
    tmp_path: Path, trials: Sequence[tuple[str, str, str]]
) -> None:
    with Workshop(tmp_path) as workshop:
        references = {form: workshop.refer(form) for form in FORMS}
        outcomes = list(perform(workshop, chosen_trials(references, trials, SEED), references))
    print(table(outcomes))  # noqa: T201 - shown where the test fails, or with -s
    assert [one for one in outcomes if not one.is_good] == []
    missed = [one.kind for one in outcomes if not one.hits and one.kind not in {RANDOM_KILL, TERM, INT}]
    assert missed == []
    for reference in references.values():
        assert len(reference.content) == SAMPLES
    assert references["parquet"].content.keys() == references["json"].content.keys()


def test_a_point_that_a_run_no_longer_passes_is_named() -> None:
    seen = dict.fromkeys((point.operation for point in POINTS), 1)
    require_points("parquet", seen)
    del seen["part: rename"]
    with pytest.raises(NoSuchPoint, match=r"has no longer: 'part: before rename' \(part: rename\); "):
        require_points("parquet", seen)


def test_the_books_see_what_differs_and_overlook_what_may() -> None:
    row = {
        "sample_id": "s",
        "score": 1.0,
        "instance": "a",
        "total_s": 1.0,
        "error_message": "a: no",
        "raw_response": None,
        "adaptation": None,
    }
    other = {**row, "instance": "b", "total_s": 2.0, "error_message": "b: no"}
    assert content([row]) == content([other])
    assert content([row]) != content([{**row, "score": 0.0}])
