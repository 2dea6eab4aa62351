"""The named points of the write path: which operations are done and which are not when the process is killed there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .watched import When

FORMS = ("parquet", "json")


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the write path: before, within or after one operation."""

    name: str
    operation: str
    when: When
    forms: tuple[str, ...] = FORMS


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
)


class NoSuchPoint(RuntimeError):
    """An undisturbed run did not reach a point: the write path has changed and this list has not."""


def require_points(form: str, seen: Mapping[str, int]) -> None:
    """Check that a recorded run of this form reached every point. Raises NoSuchPoint with the missing ones."""
    missing = [
        f"{point.name!r} ({point.operation})"
        for point in POINTS
        if form in point.forms and not seen.get(point.operation)
    ]
    if missing:
        raise NoSuchPoint(
            f"a run with {form} results has no longer: {'; '.join(missing)}; it has: {', '.join(sorted(seen))}"
        )
