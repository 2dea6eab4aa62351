"""A run's files alone say whether they hold every sample once, and which of them do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest

from orchestrator.config.environment import Environment
from orchestrator.execution.context import RunContext
from orchestrator.execution.prepare import create, prepare
from orchestrator.results.run_directory.directory import RunDirectory
from orchestrator.results.verify.verification import Verification
from orchestrator.results.verify.verifier import verify
from providers.errors import InputError
from runners.journal.compaction import Compactor
from runners.journal.frames import frame
from runners.journal.pieces import PIECE_ROWS
from runners.journal.sinks.open_sink import open_sink
from runners.journal.sinks.sink import Sink
from runners.samples.record import Record
from tests.unit.orchestrator.conftest import Load, MakeRecord
from tests.unit.orchestrator.results.older_results import LATER_COLUMNS, older_row, write_older_part

TOTAL = 8 * 2 * 3
"""Tasks, prompt types, epochs."""


@dataclass
class Case:
    """A run directory and the records that would fill it."""

    directory: RunDirectory
    prepared: RunContext
    make_record: MakeRecord

    @property
    def sink(self) -> Sink:
        return open_sink(self.directory.read_manifest().storage_format, self.directory.results)

    @property
    def results(self) -> Path:
        return self.directory.results

    def record(self, ordinal: int, outcome: str = "ok", **changes: Any) -> Record:
        sample = self.prepared.plan().sample(ordinal)
        said: dict[str, Any] = {
            "run_id": self.directory.path.name,
            "ordinal": ordinal,
            "sample_id": sample.sample_id,
            "task_id": sample.task.task_id,
            "epoch": sample.epoch,
            "seed": sample.seed,
            "model": sample.cell.model,
            "prompt_type": sample.cell.prompt_type,
            "tool_success_rate": sample.cell.tool_success_rate,
        }
        return self.make_record(outcome=outcome, **{**said, **changes})

    def part(self, number: int, ordinals: Iterable[int], **changes: Any) -> None:
        self.sink.write_part(number, [{**asdict(self.record(ordinal)), **changes} for ordinal in ordinals])

    def unresolved(self, ordinals: Iterable[int], outcome: str = "infra_failure") -> None:
        self.sink.write_unresolved([asdict(self.record(ordinal, outcome)) for ordinal in ordinals])

    def journal(self, name: str, *values: object, tail: bytes = b"") -> Path:
        self.directory.journal.mkdir(exist_ok=True)
        path = self.directory.journal / name
        path.write_bytes(b"".join(map(frame, values)) + tail)
        return path

    def verified(self) -> Verification:
        return verify(self.directory.path)

    def damages(self) -> list[tuple[str, str, str]]:
        return [(damage.kind, damage.file, damage.where) for damage in self.verified().damages]


MakeCase = Callable[..., Case]


@pytest.fixture
def make_case(load: Load, make_record: MakeRecord, tmp_path: Path) -> MakeCase:
    def made(storage_format: str = "parquet") -> Case:
        axes = {"prompt_types": ["baseline", "cot"], "epochs": 3}
        run = {"output_dir": str(tmp_path / "runs"), "storage_format": storage_format}
        prepared = prepare(load({"sweep": axes, "run": run}), Environment({}).key)
        return Case(create(prepared), prepared, make_record)

    return made


@pytest.fixture(params=["parquet", "json"])
def case(make_case: MakeCase, request: pytest.FixtureRequest) -> Case:
    return make_case(request.param)


@pytest.fixture
def parquet(make_case: MakeCase) -> Case:
    return make_case("parquet")


@pytest.fixture
def jsonl(make_case: MakeCase) -> Case:
    return make_case("json")


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x20
    path.write_bytes(data)


# ------------------------------------------------------------------ sound
def test_a_run_that_has_everything_is_sound_and_complete(case: Case) -> None:
    case.part(1, range(30))
    case.part(2, range(30, TOTAL))
    case.unresolved([])
    found = case.verified()
    assert (found.is_sound, found.total, found.final, found.pending, found.never_run) == (True, TOTAL, TOTAL, 0, 0)


def test_a_new_run_is_sound_and_all_of_it_is_pending(case: Case) -> None:
    found = case.verified()
    assert (found.is_sound, found.pending, found.never_run) == (True, TOTAL, TOTAL)
    assert [one.ordinal for one in found.first_pending] == [0, 1, 2, 3, 4]
    assert not case.directory.results.exists()


def test_what_is_pending_is_told_with_its_place_and_its_last_outcome(case: Case) -> None:
    case.part(1, [n for n in range(TOTAL) if n not in {9, 30}])
    case.journal("unresolved.log", case.record(9, "infra_failure"))
    case.unresolved([9])
    found = case.verified()
    assert (found.is_sound, found.pending, found.waiting, found.never_run) == (True, 2, {"infra_failure": 1}, 1)
    nine, thirty = found.first_pending
    assert (nine.ordinal, nine.prompt_type, nine.epoch, nine.task, nine.outcome) == (
        9,
        "baseline",
        1,
        1,
        "infra_failure",
    )
    assert (thirty.ordinal, thirty.prompt_type, thirty.epoch, thirty.task, thirty.outcome) == (30, "cot", 0, 6, None)


def test_records_that_are_still_in_the_journal_count(case: Case) -> None:
    case.part(1, range(5))
    marks = [{"started": [5, 6, 7]}, {"committed": 1.0}]
    torn = frame(case.record(7))[:-5]
    case.journal("000002.log", marks[0], case.record(5), case.record(6, "not_run"), marks[1], tail=torn)
    found = case.verified()
    assert (found.is_sound, found.final, found.in_journal, found.waiting) == (True, 6, 1, {"not_run": 1})


def test_a_segment_whose_part_is_there_was_about_to_be_deleted_and_is_no_repetition(case: Case) -> None:
    case.part(1, range(5))
    case.journal("000001.log", *map(case.record, range(5)))
    found = case.verified()
    assert (found.is_sound, found.final, found.in_journal) == (True, 5, 0)


def test_while_an_execution_goes_on_the_unresolved_file_may_be_old(case: Case) -> None:
    case.part(1, [1])
    case.unresolved([0, 1])
    case.journal("unresolved.log", case.record(0, "infra_failure"), case.record(1, "infra_failure"))
    case.journal("000002.log", {"started": [3]})
    assert case.verified().is_sound
    case.journal("000002.log", {"started": [3], "closed": True})
    assert case.damages() == [("unresolved", "results", "")]


def test_verifying_changes_nothing(case: Case) -> None:
    case.part(1, range(5))
    case.journal("000002.log", case.record(5), tail=b"torn")
    before = {path: path.read_bytes() for path in case.directory.path.rglob("*") if path.is_file()}
    case.verified()
    assert {path: path.read_bytes() for path in case.directory.path.rglob("*") if path.is_file()} == before


# ------------------------------------------------------------------ damaged
def test_a_part_that_is_no_parquet_is_named(parquet: Case) -> None:
    parquet.part(1, range(5))
    (parquet.results / "part-000002.parquet").write_bytes(b"PAR1 and nothing more")
    (damage,) = parquet.verified().damages
    assert (damage.kind, damage.file, damage.part) == ("part", "results/part-000002.parquet", 2)
    assert damage.what.startswith("cannot be read as Parquet (")
    assert "resume --repair" in damage.remedy


def test_any_flipped_byte_of_a_part_is_found(parquet: Case) -> None:
    parquet.part(1, range(TOTAL))
    path = parquet.results / "part-000001.parquet"
    whole = path.read_bytes()
    for position in range(0, len(whole), 101):
        flip(path, position)
        assert {(kind, file) for kind, file, _ in parquet.damages()} == {("part", "results/part-000001.parquet")}, (
            position
        )
        path.write_bytes(whole)


def test_without_its_checksum_a_part_is_judged_by_its_pages(parquet: Case) -> None:
    """Copies often leave hidden files behind."""
    parquet.part(1, range(TOTAL))
    (parquet.results / ".part-000001.parquet.crc32").unlink()
    assert parquet.verified().is_sound
    path = parquet.results / "part-000001.parquet"
    column = pq.ParquetFile(path).metadata.row_group(0).column(5)
    flip(path, column.data_page_offset + column.total_compressed_size - 5)
    assert parquet.damages() == [("part", "results/part-000001.parquet", "row group 1 of 1")]


def test_of_a_part_whose_damage_cannot_be_located_nothing_is_kept(parquet: Case) -> None:
    parquet.part(1, range(TOTAL))
    path = parquet.results / "part-000001.parquet"
    (parquet.results / ".part-000001.parquet.crc32").write_bytes(b"00000000\n")
    assert parquet.damages() == [("part", "results/part-000001.parquet", "")]
    assert repair(parquet, 1) == ["part-000001.parquet.damaged"]
    assert not path.exists()
    assert parquet.verified().pending == TOTAL


def test_any_flipped_byte_of_the_results_lines_is_found(jsonl: Case) -> None:
    jsonl.part(1, range(3))
    jsonl.part(2, range(3, 5))
    path = jsonl.results / "results.jsonl"
    whole = path.read_bytes()
    for position in range(0, len(whole), 97):
        flip(path, position)
        found = jsonl.verified().damages
        assert {damage.kind for damage in found} <= {"part", "foreign"}
        assert {damage.part for damage in found} in ({1}, {2}), position
        path.write_bytes(whole)


def test_a_flipped_byte_of_the_results_lines_costs_one_record_and_a_repair_keeps_all_others(jsonl: Case) -> None:
    jsonl.part(1, range(3))
    jsonl.part(2, range(3, 5))
    path = jsonl.results / "results.jsonl"
    whole = path.read_bytes()
    hidden = {file: file.read_bytes() for file in jsonl.results.glob(".*")}
    newlines = [position for position, byte in enumerate(whole) if byte == ord("\n")]
    for position in [*range(0, len(whole), 397), *newlines]:
        flip(path, position)
        line = 1 + whole[:position].count(b"\n")
        assert jsonl.damages() == [("part", "results/results.jsonl", f"line {line}")], position
        assert jsonl.verified().final == 4
        assert repair(jsonl, 1 if line <= 3 else 2) == ["results.jsonl.damaged"]
        intact = [raw for number, raw in enumerate(whole.splitlines(keepends=True), 1) if number != line]
        assert path.read_bytes() == b"".join(intact)
        assert (jsonl.verified().is_sound, jsonl.verified().final) == (True, 4)
        (jsonl.results / "results.jsonl.damaged").unlink()
        path.write_bytes(whole)
        for file, content in hidden.items():
            file.write_bytes(content)


def test_results_lines_without_their_checksums_are_kept_or_lost_by_the_group(jsonl: Case) -> None:
    jsonl.part(1, range(3))
    jsonl.part(2, range(3, 5))
    flip(jsonl.results / "results.jsonl", 100)
    (jsonl.results / ".lines").unlink()
    assert jsonl.damages() == [("part", "results/results.jsonl", "lines 1–3")]
    repair(jsonl, 1)
    assert list(jsonl.sink.ordinals()) == [3, 4]
    jsonl.part(3, range(3))
    assert (jsonl.verified().is_sound, jsonl.verified().final) == (True, 5)


def test_damaged_line_checksums_cost_nothing_while_the_lines_are_intact(jsonl: Case) -> None:
    jsonl.part(1, range(3))
    flip(jsonl.results / ".lines", 3)
    assert (jsonl.verified().is_sound, jsonl.verified().final) == (True, 3)


def test_an_index_of_an_older_version_is_read_continued_and_repaired(jsonl: Case) -> None:
    jsonl.part(1, range(3))
    index = jsonl.results / ".parts"
    index.write_bytes(
        orjson.dumps(
            {number: [stretch[:2] for stretch in part] for number, part in orjson.loads(index.read_bytes()).items()}
        )
    )
    (jsonl.results / ".lines").unlink()
    assert (jsonl.verified().is_sound, jsonl.verified().final) == (True, 3)
    jsonl.part(2, range(3, 6))
    assert (jsonl.verified().is_sound, jsonl.verified().final) == (True, 6)
    path = jsonl.results / "results.jsonl"
    flip(path, path.stat().st_size - 5)
    flip(path, 5)
    assert jsonl.damages() == [
        ("part", "results/results.jsonl", "lines 1–3"),
        ("part", "results/results.jsonl", "line 6"),
    ]
    repair(jsonl, 1, 2)
    assert list(jsonl.sink.ordinals()) == [3, 4]


def test_a_results_file_that_was_cut_is_found(jsonl: Case) -> None:
    jsonl.part(1, range(3))
    path = jsonl.results / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert jsonl.damages() == [("part", "results/results.jsonl", "line 3")]


def test_a_results_file_that_lost_its_index_is_found(jsonl: Case) -> None:
    jsonl.part(1, range(3))
    (jsonl.results / ".parts").unlink()
    (damage,) = jsonl.verified().damages
    assert "has lost its index" in damage.what


def test_a_sample_that_stands_twice_is_found_in_the_later_part(case: Case) -> None:
    case.part(1, range(5))
    case.part(2, [4, 5])
    (damage,) = case.verified().damages
    assert (damage.kind, damage.part) == ("part", 2)
    assert damage.what == "1 of its samples already have such a record, the first is ordinal 4"


def test_a_damaged_journal_line_is_named(case: Case) -> None:
    broken = frame(case.record(1)).replace(b'"ok"', b'"OK"')
    path = case.journal("000001.log", case.record(0))
    path.write_bytes(path.read_bytes() + broken + frame(case.record(2)))
    found = case.verified()
    assert found.final == 2
    assert [(one.kind, one.place, one.remedy) for one in found.damages] == [
        ("journal", "journal/000001.log, line 2", "a resume runs its sample again")
    ]


def test_a_record_that_is_not_final_has_no_place_among_those_that_are(case: Case) -> None:
    case.part(1, [0], outcome="infra_failure")
    (damage,) = case.verified().damages
    assert (damage.kind, damage.what) == ("part", "holds records that are not final")


STRANGERS = {
    "run_id": ("other", "ordinal 3 is of the run other, this is "),
    "ordinal": (TOTAL, f"ordinal {TOTAL} is not among the {TOTAL} planned"),
    "prompt_type": ("cot", "ordinal 3 is m, cot, 1.0, epoch 0; planned is m, baseline, 1, epoch 0"),
    "epoch": (2, "ordinal 3 is m, baseline, 1.0, epoch 2; planned is m, baseline, 1, epoch 0"),
    "sample_id": ("0" * 32, "ordinal 3 has the sample id 0000"),
    "task_id": ("t99", "which is not that of its task t99"),
    "seed": (12345, "ordinal 3 has the seed 12345, which is not that of this run"),
}


@pytest.mark.parametrize("column", STRANGERS)
def test_a_row_of_another_configuration_is_told_with_the_difference(case: Case, column: str) -> None:
    value, said = STRANGERS[column]
    case.part(1, [3], **{column: value})
    (damage,) = case.verified().damages
    assert damage.kind == "foreign"
    assert said in damage.what


def test_a_row_that_was_moved_to_another_ordinal_is_found(case: Case) -> None:
    """Cell and epoch are right: only the other rows know better."""
    case.part(1, [*range(3), *range(5, 16)])
    case.part(2, [4], **{name: getattr(case.record(3), name) for name in ("task_id", "sample_id", "seed")})
    (damage,) = case.verified().damages
    assert damage.what == "ordinal 4 holds the task t4, other rows hold another task at its position"


def test_a_row_that_was_copied_to_another_ordinal_is_found(case: Case) -> None:
    case.part(1, [3])
    case.part(2, [4], **{name: getattr(case.record(3), name) for name in ("task_id", "sample_id", "seed")})
    (damage,) = case.verified().damages
    assert damage.what == "1 tasks have two positions in the plan"


def test_a_manifest_that_contradicts_itself_is_refused(case: Case) -> None:
    path = case.directory.path / "manifest.json"
    document = orjson.loads(path.read_bytes())
    document["manifest"]["total"] = TOTAL + 1
    path.write_bytes(orjson.dumps(document))
    with pytest.raises(InputError, match="plans 49 samples, but its axes give another number"):
        case.verified()
    document["manifest"]["total"] = TOTAL
    document["manifest"]["parts"]["seed"] = "7"
    path.write_bytes(orjson.dumps(document))
    assert case.damages() == [("manifest", "manifest.json", "")]


# ------------------------------------------------------------------ older results
def test_results_of_an_older_version_are_sound_and_a_resume_continues_them(case: Case) -> None:
    write_older_part(case.sink, case.results, 1, [asdict(case.record(ordinal)) for ordinal in range(10)])
    case.journal("000002.log", *(older_row(asdict(case.record(ordinal))) for ordinal in range(10, 15)))
    assert (case.verified().is_sound, case.verified().final) == (True, 15)
    replay = Compactor(case.directory.journal, case.sink).replay(TOTAL)
    assert [ordinal for ordinal in range(TOTAL) if ordinal in replay.done] == list(range(15))
    case.part(3, range(15, TOTAL), reasoning_text="because")
    found = case.verified()
    assert (found.is_sound, found.pending) == (True, 0)


def test_what_can_be_read_of_a_damaged_older_part_is_kept(parquet: Case) -> None:
    write_older_part(parquet.sink, parquet.results, 1, [asdict(parquet.record(ordinal)) for ordinal in range(10)])
    assert set(LATER_COLUMNS).isdisjoint(pq.read_schema(parquet.results / "part-000001.parquet").names)
    assert repair(parquet, 1) == ["part-000001.parquet.damaged"]
    found = parquet.verified()
    assert (found.is_sound, found.final) == (True, 10)


# ------------------------------------------------------------------ repair
def repair(case: Case, *parts: int) -> list[str]:
    return [path.name for path in Compactor(case.directory.journal, case.sink).repair(parts, TOTAL)]


def test_repairing_a_part_keeps_what_can_be_read_and_deletes_nothing(parquet: Case) -> None:
    record = asdict(parquet.record(0))
    parquet.part(1, [1])
    parquet.part(3, [2])
    groups = [asdict(parquet.record(ordinal)) for ordinal in range(3, 20)]
    filler = [record] * (PIECE_ROWS - len(groups))
    parquet.sink.write_part(2, [*groups, *filler, asdict(parquet.record(20))])
    path = parquet.results / "part-000002.parquet"
    column = pq.ParquetFile(path).metadata.row_group(1).column(5)
    flip(path, column.data_page_offset + column.total_compressed_size - 5)
    damaged = path.read_bytes()
    assert repair(parquet, 2) == ["part-000002.parquet.damaged"]
    assert (parquet.results / "part-000002.parquet.damaged").read_bytes() == damaged
    found = parquet.verified()
    assert (found.is_sound, found.final, found.pending) == (True, 20, TOTAL - 20)


def test_a_part_of_which_nothing_can_be_read_is_set_aside_and_again_under_another_name(parquet: Case) -> None:
    parquet.results.mkdir()
    for name in ("part-000001.parquet.damaged", "part-000001.parquet.damaged.2"):
        (parquet.results / "part-000001.parquet").write_bytes(b"nothing")
        assert repair(parquet, 1) == [name]
        assert parquet.verified().is_sound
    assert len(list(parquet.results.glob("*.damaged*"))) == 2


def test_repairing_lines_keeps_those_that_can_be_read_once_each(jsonl: Case) -> None:
    jsonl.part(1, range(5))
    jsonl.part(2, [4, 5, 6])
    jsonl.part(3, [7, 8])
    path = jsonl.results / "results.jsonl"
    flip(path, 100)
    before = path.read_bytes()
    assert {damage.part for damage in jsonl.verified().damages} == {1, 2}
    assert repair(jsonl, 1) == ["results.jsonl.damaged"]
    assert (jsonl.results / "results.jsonl.damaged").read_bytes() == before
    assert list(jsonl.sink.ordinals()) == [1, 2, 3, 4, 5, 6, 7, 8]
    jsonl.part(4, [8, *range(9, TOTAL)])
    assert {damage.part for damage in jsonl.verified().damages} == {4}
    assert repair(jsonl, 4) == ["results.jsonl.damaged.2"]
    jsonl.part(5, [0])
    found = jsonl.verified()
    assert (found.is_sound, found.pending) == (True, 0)
