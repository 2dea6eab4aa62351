"""A kill or a power cut while result files are rewritten, by a repair or for `--only refused`, loses no row that stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runners.journal.pieces import PIECE_ROWS
from runners.journal.sinks.open_sink import open_sink
from runners.journal.sinks.sink import Sink, StorageFormat
from runners.samples.bitmap import Bitmap
from tests.unit.orchestrator.results.verify.test_verification import flip
from tests.unit.runners.journal.sinks.test_sinks import a_row

from .disk_model import DiskModel, Model, write_tree
from .recorded_disk import RecordedDisk

ROWS = {"parquet": PIECE_ROWS + 3, "json": 20}
"""Two row groups, so that damage of the first leaves the second; lines have a checksum each."""
MODELS: tuple[Model, ...] = ("synced", "prefix", "renames", "deletions")
FORMS: tuple[StorageFormat, ...] = ("parquet", "json")


def repair(sink: Sink) -> None:
    """Repair as a resume does: only what is damaged."""
    damaged = {batch.part for batch in sink.examine(["ordinal"]) if batch.fault}
    known = Bitmap(PIECE_ROWS + 5)
    for batch in sink.examine(["ordinal"]):
        if batch.part not in damaged:
            known.add_all(int(str(row[0])) for row in batch.rows)
    if damaged:
        sink.repair(damaged, known)


def withdraw(sink: Sink) -> None:
    sink.withdraw(lambda row: row["ordinal"] == 5, lambda *_: None)


def damage(results: Path) -> None:
    for path in [*results.glob("part-000001.parquet"), *results.glob("results.jsonl")]:
        flip(path, 200)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("form", [pytest.param("parquet", marks=pytest.mark.matrix), "json"])
@pytest.mark.parametrize(
    ("prepare", "change", "lost"),
    [
        (damage, repair, {"parquet": range(PIECE_ROWS), "json": [0]}),
        (lambda _: None, withdraw, {"parquet": [5], "json": [5]}),
    ],
    ids=["repair", "withdraw"],
)
def test_a_cut_while_results_are_rewritten_loses_no_row_that_stays(
    tmp_path: Path,
    form: StorageFormat,
    prepare: Callable[[Path], None],
    change: Callable[[Sink], None],
    lost: dict[str, list[int]],
) -> None:
    results = tmp_path / "results"
    sink, rows = open_sink(form, results), ROWS[form]
    sink.write_part(1, [a_row(ordinal) for ordinal in range(rows)])
    sink.write_part(2, [a_row(rows), a_row(rows + 1)])
    prepare(results)
    disk = RecordedDisk(tmp_path)
    with disk.recording():
        change(open_sink(form, results))
    model, seen, stays = DiskModel(disk.initial), set[int](), set(range(rows + 2)) - set(lost[form])
    for number, operation in enumerate(disk.operations):
        model.apply(operation)
        for name in MODELS:
            tree = model.after_cut(name, number)
            if (key := hash(tuple(tree.items()))) in seen:
                continue
            seen.add(key)
            left = tmp_path / "left" / f"{number}-{name}"
            write_tree({path: content for path, content in tree.items() if path.startswith("results")}, left)
            change(open_sink(form, left / "results"))
            found = open_sink(form, left / "results")
            assert not [batch.fault for batch in found.examine(["ordinal"]) if batch.fault], (number, name)
            assert sorted(found.ordinals()) == sorted(stays), (number, name)
    assert len(seen) > 3
