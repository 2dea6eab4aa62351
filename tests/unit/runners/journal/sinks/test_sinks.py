"""Both sinks, side by side: the same rows, parts that are never rewritten, and a crash between any two steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runners.journal.pieces import PIECE_CHARACTERS, PIECE_ROWS
from runners.journal.sinks.jsonl import JsonlSink
from runners.journal.sinks.open_sink import open_sink
from runners.journal.sinks.parquet import ParquetSink
from runners.journal.sinks.record_table import MOST_BYTES, read_pieces, record_schema, record_table
from runners.journal.sinks.sink import UNRESOLVED, Sink, StorageFormat
from runners.journal.sinks.table_rows import column_of
from runners.samples.record import Record
from tests.unit.runners.doubles import NOON, a_record

FORMATS: list[StorageFormat] = ["parquet", "json"]
Row = Mapping[str, Any]


def a_row(ordinal: int, outcome: str = "ok", **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = orjson.loads(orjson.dumps(a_record(ordinal, outcome, **changes)))
    return row


def read(results: Path, name: str = "results") -> list[dict[str, Any]]:
    """Every row of a sink's files, instants as they are in the journal."""
    if (results / f"{name}.jsonl").exists():
        return [orjson.loads(line) for line in (results / f"{name}.jsonl").read_bytes().splitlines()]
    paths = sorted(results.glob("part-*.parquet" if name == "results" else f"{name}.parquet"))
    return [_untyped(row) for path in paths for row in pq.read_table(path).to_pylist()]


def _untyped(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value
        for name, value in row.items()
    }


@pytest.fixture(params=FORMATS)
def storage_format(request: pytest.FixtureRequest) -> StorageFormat:
    chosen: StorageFormat = request.param
    return chosen


@pytest.fixture
def sink(storage_format: StorageFormat, tmp_path: Path) -> Sink:
    return open_sink(storage_format, tmp_path)


ODD = [
    a_row(0, output_text='line\nbreak, "quote", comma; \ttab \0 null', target="", messages="[]"),
    a_row(1, output_text="🙂 é \u2028 \ufeff \x7f", error_message=None, cost_usd=1e-12, score=0),
    a_row(2, "model_failure", output_text=None, score=0.0, passed=False, seed=2**63 - 1, total_s=12345.678901),
    a_row(3, instance=None, provider=None, deployment=None, started_at=None, status=None, write_s=0.25),
]


def test_what_is_written_is_read_back_as_it_was(sink: Sink, tmp_path: Path) -> None:
    sink.write_part(1, ODD)
    assert read(tmp_path) == ODD
    assert list(sink.ordinals()) == [0, 1, 2, 3]


def test_both_hold_the_same_rows(tmp_path: Path) -> None:
    found = {}
    for chosen in FORMATS:
        sink = open_sink(chosen, tmp_path / chosen)
        sink.write_part(1, ODD[:2])
        sink.write_part(2, ODD[2:])
        sink.write_unresolved([a_row(9, "infra_failure")])
        found[chosen] = (read(tmp_path / chosen), read(tmp_path / chosen, "unresolved"), list(sink.ordinals()))
    assert found["parquet"] == found["json"]


def test_nothing_written_is_nothing_found(sink: Sink) -> None:
    assert sink.last_part() == 0
    assert list(sink.ordinals()) == []


def test_the_last_part_is_known_to_whoever_opens_it_next(
    sink: Sink, tmp_path: Path, storage_format: StorageFormat
) -> None:
    for number in (1, 2, 5):
        sink.write_part(number, [a_row(number)])
    again = open_sink(storage_format, tmp_path)
    assert again.last_part() == 5
    assert list(again.ordinals()) == [1, 2, 5]


def test_a_hit_spares_the_tested_models_columns_and_never_the_judges(sink: Sink) -> None:
    took: Row = {
        "input_tokens": 1,
        "output_tokens": 2,
        "cost_usd": 0.25,
        "judge_input_tokens": 40,
        "judge_cost_usd": 0.5,
    }
    sink.write_part(1, [a_row(0, **took)])
    sink.write_part(2, [a_row(1, **took), a_row(2, **took, cache_hit=True), a_row(3, cache_hit=True, cost_usd=None)])
    expected = {"input_tokens": 1, "output_tokens": 2, "cost_usd": 0.25, "judge_input_tokens": 80, "judge_cost_usd": 1}
    assert sink.totals(list(took), 1) == expected


def test_what_is_unresolved_is_replaced_as_a_whole(sink: Sink, tmp_path: Path) -> None:
    sink.write_unresolved([a_row(1, "infra_failure"), a_row(2, "not_run")])
    sink.write_unresolved([a_row(2, "not_run")])
    assert [row["ordinal"] for row in read(tmp_path, "unresolved")] == [2]
    sink.write_unresolved([])
    assert read(tmp_path, "unresolved") == []
    assert list(sink.ordinals()) == []


def test_rows_may_come_from_an_iterator_and_be_more_than_a_row_group(sink: Sink, tmp_path: Path) -> None:
    sink.write_part(1, (a_row(ordinal) for ordinal in range(PIECE_ROWS + 3)))
    assert list(sink.ordinals()) == list(range(PIECE_ROWS + 3))


def test_long_answers_end_a_row_group_before_it_is_full(tmp_path: Path) -> None:
    fifth = "x" * (PIECE_CHARACTERS // 5 + 1)
    ParquetSink(tmp_path).write_part(1, (a_row(ordinal, output_text=fifth) for ordinal in range(12)))
    with pq.ParquetFile(tmp_path / "part-000001.parquet") as file:
        assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [5, 5, 2]
        assert file.read(["ordinal"])["ordinal"].to_pylist() == list(range(12))


def test_long_answers_end_a_group_of_lines_before_it_is_full(tmp_path: Path) -> None:
    fifth = "x" * (PIECE_CHARACTERS // 5 + 1)
    sink = JsonlSink(tmp_path)
    sink.write_part(1, (a_row(ordinal, output_text=fifth) for ordinal in range(12)))
    sink.write_unresolved(a_row(ordinal, "not_run", output_text=fifth) for ordinal in range(7))
    batches = [(batch.part, len(batch.rows), batch.fault) for batch in sink.examine(["ordinal"])]
    assert batches == [(1, 5, None), (1, 5, None), (1, 2, None), (UNRESOLVED, 5, None), (UNRESOLVED, 2, None)]


def test_superseded_rows_of_a_part_are_kept_piece_by_piece(tmp_path: Path) -> None:
    fifth, kept = "x" * (PIECE_CHARACTERS // 5 + 1), list[int]()
    sink = ParquetSink(tmp_path)
    sink.write_part(1, (a_row(ordinal, output_text=fifth) for ordinal in range(12)))
    sink.withdraw(lambda row: int(str(row["ordinal"])) < 7, lambda _, rows: kept.append(len(rows)))
    assert kept == [5, 2]
    assert list(sink.ordinals()) == list(range(7, 12))


def test_a_row_group_that_is_too_large_is_read_in_pieces_unless_its_columns_are_short(tmp_path: Path) -> None:
    fifth = "x" * (MOST_BYTES // 5 + 1)
    rows = [a_row(ordinal, output_text=fifth) for ordinal in range(12)]
    pq.write_table(record_table(rows), tmp_path / "large.parquet", use_dictionary=False)
    with pq.ParquetFile(tmp_path / "large.parquet") as file:
        assert [table.num_rows for table in read_pieces(file, ["ordinal", "output_text"])] == [4, 4, 4]
        assert [table.num_rows for table in read_pieces(file, ["ordinal", "instance"])] == [12]


def test_a_part_that_fails_halfway_leaves_the_others_and_can_be_written_again(sink: Sink, tmp_path: Path) -> None:
    def broken() -> Any:
        yield a_row(1)
        raise OSError("no space left on device")

    sink.write_part(1, [a_row(0)])
    with pytest.raises(OSError, match="no space"):
        sink.write_part(2, broken())
    assert (sink.last_part(), list(sink.ordinals())) == (1, [0])
    sink.write_part(2, [a_row(1), a_row(2)])
    assert [row["ordinal"] for row in read(tmp_path)] == [0, 1, 2]


def test_parts_that_stand_are_not_touched_by_later_ones(tmp_path: Path) -> None:
    parquet, json = ParquetSink(tmp_path), JsonlSink(tmp_path)
    for one in (parquet, json):
        one.write_part(1, [a_row(0)])
    part, results = tmp_path / "part-000001.parquet", tmp_path / "results.jsonl"
    before = part.read_bytes(), part.stat().st_mtime_ns, results.read_bytes()
    for one in (parquet, json):
        one.write_part(2, [a_row(1)])
    assert (part.read_bytes(), part.stat().st_mtime_ns) == before[:2]
    assert results.read_bytes().startswith(before[2])


def test_a_part_that_a_crash_cut_off_is_cut_away_at_every_length(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path)
    sink.write_part(1, [a_row(0)])
    results, index = tmp_path / "results.jsonl", tmp_path / ".parts"
    whole, parts = results.read_bytes(), index.read_bytes()
    sink.write_part(2, [a_row(1)])
    second = results.read_bytes()[len(whole) :]
    for length in {1, 10, len(second) - 1, len(second)}:
        index.write_bytes(parts)  # the crash came before the index knew of it
        results.write_bytes(whole + second[:length])
        again = JsonlSink(tmp_path)
        assert (again.last_part(), list(again.ordinals())) == (1, [0])
        again.write_part(2, [a_row(1)])
        assert [row["ordinal"] for row in read(tmp_path)] == [0, 1]


def test_a_crash_within_the_very_first_part_is_no_loss_of_the_index(tmp_path: Path) -> None:
    def cut_off() -> Any:
        yield a_row(0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        JsonlSink(tmp_path).write_part(1, cut_off())
    assert (tmp_path / "results.jsonl").stat().st_size
    again = JsonlSink(tmp_path)
    assert (again.last_part(), list(again.ordinals())) == (0, [])
    again.write_part(1, [a_row(0)])
    assert [row["ordinal"] for row in read(tmp_path)] == [0]


def test_a_parquet_part_that_a_crash_cut_off_is_no_part(tmp_path: Path) -> None:
    sink = ParquetSink(tmp_path)
    sink.write_part(1, [a_row(0)])
    (tmp_path / ".part-000002.parquet.pending").write_bytes(b"PAR1 half of it")
    assert (sink.last_part(), list(sink.ordinals())) == (1, [0])


def test_the_schema_has_every_field_of_the_record_in_its_order() -> None:
    schema = record_schema()
    assert schema.names == [field.name for field in dataclasses.fields(Record)]
    assert schema.field("completed_at").type == pa.timestamp("us", tz="UTC")
    assert schema.field("score").nullable
    assert not schema.field("outcome").nullable


def test_instants_are_instants_in_parquet(tmp_path: Path) -> None:
    ParquetSink(tmp_path).write_part(1, [a_row(0)])
    (row,) = pq.read_table(tmp_path / "part-000001.parquet").to_pylist()
    assert row["completed_at"] == datetime.fromisoformat(NOON).astimezone(UTC)


def test_any_parquet_reader_takes_the_folder(tmp_path: Path) -> None:
    sink = ParquetSink(tmp_path)
    for number in range(1, 4):
        sink.write_part(number, [a_row(number)])
    assert pq.read_table(tmp_path).num_rows == 3


def wrong(row: Row) -> bool:
    return bool(row["outcome"] == "model_failure")


def with_two_parts(sink: Sink) -> None:
    sink.write_part(1, [a_row(0), a_row(1, "model_failure"), a_row(2)])
    sink.write_part(2, [a_row(3, "model_failure")])
    sink.write_part(3, [a_row(4)])


def test_rows_that_are_superseded_are_kept_first_and_then_taken_out(sink: Sink, tmp_path: Path) -> None:
    with_two_parts(sink)
    kept: list[tuple[int, list[int]]] = []

    def keep(number: int, rows: Sequence[Row]) -> None:
        assert [row["ordinal"] for row in read(tmp_path)] == [0, 1, 2, 3, 4] or kept
        kept.append((number, [row["ordinal"] for row in rows]))

    sink.withdraw(wrong, keep)
    assert kept == [(1, [1]), (2, [3])]
    assert read(tmp_path) == [a_row(0), a_row(2), a_row(4)]
    assert list(sink.ordinals()) == [0, 2, 4]
    assert not [batch.fault for batch in sink.examine(["ordinal"]) if batch.fault]
    sink.write_part(sink.last_part() + 1, [a_row(1), a_row(3)])
    assert sorted(sink.ordinals()) == [0, 1, 2, 3, 4]


def test_where_nothing_is_superseded_nothing_is_written(sink: Sink, tmp_path: Path) -> None:
    with_two_parts(sink)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.glob("*s*.p*")}
    sink.withdraw(lambda _: False, lambda *_: pytest.fail("nothing to keep"))
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.glob("*s*.p*")} == before
    assert list(sink.ordinals()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("renames", range(6))
def test_a_crash_while_rows_are_taken_out_loses_none_that_stays(
    storage_format: StorageFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    with_two_parts(open_sink(storage_format, tmp_path))
    rename, left = Path.rename, renames

    def crash(path: Path, to: Path) -> Path:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        return rename(path, to)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", crash)
        with suppress(KeyboardInterrupt):
            open_sink(storage_format, tmp_path).withdraw(wrong, lambda *_: None)
    sink = open_sink(storage_format, tmp_path)
    assert not [batch.fault for batch in sink.examine(["ordinal"]) if batch.fault]
    assert {0, 2, 4} <= set(sink.ordinals())
    sink.withdraw(wrong, lambda *_: None)
    assert list(sink.ordinals()) == [0, 2, 4]
    assert not [batch.fault for batch in sink.examine(["ordinal"]) if batch.fault]


def test_text_in_a_part_that_is_no_utf8_is_a_fault_although_it_was_written_so(tmp_path: Path) -> None:
    sink = ParquetSink(tmp_path)
    sink.write_part(1, [a_row(0), a_row(1)])
    table = pq.read_table(tmp_path / "part-000001.parquet")
    bytes_of_id = pa.Array.from_buffers(pa.string(), 2, pa.array([b"a", b"\xff"], pa.binary()).buffers())
    pq.write_table(
        table.set_column(table.column_names.index("task_id"), "task_id", bytes_of_id), tmp_path / "part-000001.parquet"
    )
    (tmp_path / ".part-000001.parquet.crc32").unlink()
    (batch,) = sink.examine(["ordinal", "task_id"])
    assert "cannot be read" in str(batch.fault)
    assert "utf-8" in str(batch.fault)


def test_rows_of_a_table_are_those_of_a_list(sink: Sink) -> None:
    sink.write_part(1, [a_row(0), a_row(1)])
    (batch,) = sink.examine(["ordinal", "outcome"])
    assert [list(row) for row in batch.rows] == [[0, "ok"], [1, "ok"]]
    assert (len(batch.rows), list(batch.rows[1])) == (2, [1, "ok"])
    assert [column_of(batch.rows, number) for number in range(2)] == [[0, 1], ["ok", "ok"]]
