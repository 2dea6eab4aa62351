"""The named points of the write path: which operations are done and which are not when the process is killed there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .watched import When

FORMS = ("parquet", "json")
Stage = Literal["run", "resume", "repair", "rescore"]
"""What is ended: a new run, the resume of a killed one, the repair of a damaged one, or the rescoring of a finished one."""
STAGES: tuple[Stage, ...] = ("run", "resume", "repair", "rescore")


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the write path: before, within or after one operation."""

    name: str
    operation: str
    when: When
    forms: tuple[str, ...] = FORMS
    stage: Stage = "run"


PARQUET, JSON = ("parquet",), ("json",)

POINTS = (
    Point("manifest: half of the temporary written", "manifest, temporary: write", "torn"),
    Point("manifest: renamed", "manifest: rename", "after"),
    Point("lock of a key: owner written", "lock of a key: write", "after"),
    Point("segment: created", "segment: create", "after"),
    Point("journal append: before write", "segment: write records", "before"),
    Point("journal append: half of the bytes written", "segment: write records", "torn"),
    Point("journal append: written, before fsync", "segment: fsync", "before"),
    Point("journal append: after fsync, before counted", "segment: fsync", "after"),
    Point("segment: before its seal", "segment: write seal", "before"),
    Point("segment: half of its seal written", "segment: write seal", "torn"),
    Point("segment: sealed", "segment: write seal", "after"),
    Point("segment: marks half carried over", "segment: write marks", "torn"),
    Point("segment: marks carried over", "segment: write marks", "after"),
    Point("part: temporary opened", "part, temporary: open", "after", PARQUET),
    Point("part: half of a write to the temporary", "part, temporary: write", "torn", PARQUET),
    Point("part: temporary written, before fsync", "part, temporary: fsync", "before", PARQUET),
    Point("part: before rename", "part: rename", "before", PARQUET),
    Point("part: after rename, before directory fsync", "part: rename", "after", PARQUET),
    Point("part: durable, before segment unlink", "segment: unlink", "before", PARQUET),
    Point("results.jsonl: a part's room cleared", "results.jsonl: truncate", "after", JSON),
    Point("results.jsonl: half of a write", "results.jsonl: write", "torn", JSON),
    Point("results.jsonl: written, before fsync", "results.jsonl: fsync", "before", JSON),
    Point("results.jsonl: durable, before its index", "results.jsonl: fsync", "after", JSON),
    Point("index: half of the temporary written", "index, temporary: write", "torn", JSON),
    Point("index: before rename", "index: rename", "before", JSON),
    Point("index: after rename, before segment unlink", "index: rename", "after", JSON),
    Point("unresolved: before append", "unresolved.log: write", "before"),
    Point("unresolved: half appended", "unresolved.log: write", "torn"),
    Point("unresolved: appended, before fsync", "unresolved.log: fsync", "before"),
    Point("unresolved: appended, before segment unlink", "unresolved.log: fsync", "after"),
    Point("segment: unlinked, before directory fsync", "segment: unlink", "after"),
    Point("segment: unlinked, directory durable", "journal folder: fsync", "after"),
    Point("unresolved results: half of the temporary written", "unresolved results, temporary: write", "torn"),
    Point("unresolved results: replaced", "unresolved results: rename", "after"),
    Point("unresolved: half of its replacement written", "unresolved.log, temporary: write", "torn"),
    Point("unresolved: before it is replaced", "unresolved.log: rename", "before"),
    Point("unresolved: replaced", "unresolved.log: rename", "after"),
    Point("spending: half of the settlement written", "spending log: write", "torn"),
    Point("spending: settled, before the segments are deleted", "spending log: fsync", "after"),
    Point("decisions: half of a line written", "decisions: write", "torn"),
    Point("learned limits: half of the temporary written", "learned limits, temporary: write", "torn"),
    Point("learned limits: before rename", "learned limits: rename", "before"),
    Point("learned limits: replaced", "learned limits: rename", "after"),
    Point("executions: half of the note written", "executions: write", "torn"),
    Point("executions: noted", "executions: write", "after"),
    Point("summary: half of the temporary written", "summary, temporary: write", "torn"),
    Point("summary: before rename", "summary: rename", "before"),
    Point("results folder: made", "results folder: mkdir", "after"),
    Point("journal folder: made", "journal folder: mkdir", "after"),
    Point("checksum: before the part's rename", "checksum: rename", "after", PARQUET),
    Point("line checksums: half of them written", "line checksums: write", "torn", JSON),
    Point("line checksums: written, before fsync", "line checksums: fsync", "before", JSON),
    Point("line checksums: durable, before the index", "line checksums: fsync", "after", JSON),
    Point("resume: before its segment", "segment: create", "before", stage="resume"),
    Point("resume: half of the marks written", "marks left behind: write", "torn", stage="resume"),
    Point("resume: marks before rename", "segment: rename", "before", stage="resume"),
    Point("resume: marks renamed", "segment: rename", "after", stage="resume"),
    Point("resume: before the old segment's unlink", "segment: unlink", "before", stage="resume"),
    Point("resume: old segment unlinked", "segment: unlink", "after", stage="resume"),
    Point("resume: unresolved appended, before fsync", "unresolved.log: fsync", "before", stage="resume"),
    Point("repair: file set aside", "file set aside: link", "after", stage="repair"),
    Point("repair: damaged part, before its unlink", "part: unlink", "before", PARQUET, "repair"),
    Point("repair: damaged part unlinked", "part: unlink", "after", PARQUET, "repair"),
    Point("repair: checksum unlinked", "checksum: unlink", "after", PARQUET, "repair"),
    Point("repair: half of the new results written", "new results.jsonl, temporary: write", "torn", JSON, "repair"),
    Point("repair: half of the line checksums written", "line checksums: write", "torn", JSON, "repair"),
    Point("repair: line checksums durable", "line checksums: fsync", "after", JSON, "repair"),
    Point("repair: new results before rename", "new results.jsonl: rename", "before", JSON, "repair"),
    Point("repair: new results durable", "new results.jsonl: rename", "after", JSON, "repair"),
    Point("repair: half of the new index written", "new index, temporary: write", "torn", JSON, "repair"),
    Point("repair: new index durable", "new index: rename", "after", JSON, "repair"),
    Point("repair: before the results are replaced", "results.jsonl: rename", "before", JSON, "repair"),
    Point("repair: results replaced, before their index", "results.jsonl: rename", "after", JSON, "repair"),
    Point("repair: index replaced", "index: rename", "after", JSON, "repair"),
    Point("repair: segment created", "segment: create", "after", stage="repair"),
    Point("rescore: hidden folder made", "rescored run, hidden: mkdir", "after", stage="rescore"),
    Point("rescore: half of a part written", "part, temporary: write", "torn", PARQUET, "rescore"),
    Point("rescore: part renamed", "part: rename", "after", PARQUET, "rescore"),
    Point("rescore: half of the results written", "results.jsonl: write", "torn", JSON, "rescore"),
    Point("rescore: index renamed", "index: rename", "after", JSON, "rescore"),
    Point("rescore: unresolved results replaced", "unresolved results: rename", "after", stage="rescore"),
    Point("rescore: unresolved replaced", "unresolved.log: rename", "after", stage="rescore"),
    Point("rescore: half of the manifest written", "manifest, temporary: write", "torn", stage="rescore"),
    Point("rescore: summary before rename", "summary: rename", "before", stage="rescore"),
    Point("rescore: noted, before the folder's fsync", "executions: write", "after", stage="rescore"),
    Point("rescore: before the folder gets its name", "rescored run: rename", "before", stage="rescore"),
    Point("rescore: folder has its name", "rescored run: rename", "after", stage="rescore"),
)


class NoSuchPoint(RuntimeError):
    """An undisturbed run did not reach a point: the write path has changed and this list has not."""


def require_points(form: str, seen: Mapping[str, int], stage: Stage = "run") -> None:
    """Check that a recorded command of this form reached every point of its stage. Raises NoSuchPoint with the missing ones."""
    missing = [
        f"{point.name!r} ({point.operation})"
        for point in POINTS
        if form in point.forms and point.stage == stage and not seen.get(point.operation)
    ]
    if missing:
        raise NoSuchPoint(
            f"a {stage} with {form} results has no longer: {'; '.join(missing)}; it has: {', '.join(sorted(seen))}"
        )
