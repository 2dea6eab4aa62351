"""What `export` writes, read back by other readers."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from orchestrator.results.export import WRITERS, export
from orchestrator.results.run import Run
from orchestrator.results.run_directory.directory import Manifest, RunDirectory
from providers.errors import InputError, StorageError
from runners.journal.pieces import PIECE_CHARACTERS
from runners.journal.sinks.open_sink import open_sink
from runners.journal.sinks.sink import StorageFormat
from runners.samples.record import Record

MakeRecord = Callable[..., Record]
HARD_TEXT = 'He said "yes", then\na new line; 价格 $5 🙂 =1+1'


@pytest.fixture
def run(tmp_path: Path, make_record: MakeRecord) -> Run:
    path = tmp_path / "run"
    path.mkdir()
    directory = RunDirectory(path)
    directory.write_manifest(Manifest("r", {}, "/", "parquet", 2, "f", {}))
    sink = open_sink("parquet", directory.results)
    sink.write_part(1, [asdict(make_record(output_text=HARD_TEXT))])
    lost = make_record(
        ordinal=1, sample_id="s1", outcome="infra_failure", error_class="connection", error_message="cut off",
        score=None, grade=None, passed=None, output_text=None, status=None, response_id=None,
    )  # fmt: skip
    sink.write_unresolved([asdict(lost)])
    return Run.load(path)


def test_jsonl_has_a_line_for_every_record(run: Run, tmp_path: Path) -> None:
    assert export(run, "jsonl", tmp_path / "out.jsonl") == 2
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(row["sample_id"], row["output_text"], row["passed"]) for row in rows] == [
        ("s0", HARD_TEXT, True),
        ("s1", None, None),
    ]


@pytest.mark.parametrize("storage_format", ["parquet", "json"])
def test_a_run_of_long_texts_is_written_table_by_table(
    storage_format: StorageFormat, tmp_path: Path, make_record: MakeRecord
) -> None:
    directory = RunDirectory(tmp_path)
    directory.write_manifest(Manifest("r", {}, "/", storage_format, 12, "f", {}))
    directory.results.mkdir()
    fifth = "x" * (PIECE_CHARACTERS // 5 + 1)
    rows = (make_record(ordinal=n, task_id=f"t{n}", output_text=fifth) for n in range(12))
    open_sink(storage_format, directory.results).write_part(1, map(asdict, rows))
    run = Run.load(tmp_path)
    assert [table.num_rows for table in run.tables()] == [5, 5, 2]
    assert [table.num_rows for table in run.tables(["ordinal", "passed"])] in ([12], [5, 5, 2])
    for form in WRITERS:
        assert export(run, form, tmp_path / f"out.{form}") == 12
    with pq.ParquetFile(tmp_path / "out.parquet") as file:
        assert file.metadata.num_row_groups == 3
        assert file.read().equals(run.to_arrow())
    whole = tmp_path / "whole.csv"
    pyarrow.csv.write_csv(run.to_arrow(), whole)
    assert (tmp_path / "out.csv").read_bytes() == whole.read_bytes()


def test_an_export_of_damaged_results_leaves_nothing_behind(run: Run, tmp_path: Path) -> None:
    (run.path / "results" / "unresolved.parquet").write_bytes(b"PAR1 torn")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StorageError, match="is damaged"):
        export(run, "jsonl", tmp_path / "out.jsonl")
    assert sorted(tmp_path.iterdir()) == before


def test_csv_keeps_quotes_and_line_breaks(run: Run, tmp_path: Path) -> None:
    export(run, "csv", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["output_text"] for row in rows] == [HARD_TEXT, ""]


def test_parquet_is_the_table_itself(run: Run, tmp_path: Path) -> None:
    export(run, "parquet", tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").equals(run.to_arrow())


def test_openai_batch_has_a_response_or_an_error(run: Run, tmp_path: Path) -> None:
    export(run, "openai-batch", tmp_path / "out.jsonl")
    answered, lost = (json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines())
    body = answered["response"]["body"]
    assert (answered["custom_id"], answered["error"], answered["response"]["status_code"]) == ("s0", None, 200)
    assert body["choices"][0]["message"] == {"role": "assistant", "content": HARD_TEXT}
    assert body["usage"] == {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    assert (lost["custom_id"], lost["response"]) == ("s1", None)
    assert lost["error"] == {"code": "connection", "message": "cut off"}


@pytest.mark.parametrize("form", WRITERS)
def test_a_file_that_is_there_is_replaced_as_a_whole(run: Run, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    out.write_text("x" * 1_000_000)
    export(run, form, out)
    assert out.stat().st_size < 100_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "run"]


def test_a_folder_that_is_not_there_is_one_sentence(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write \S+out\.csv: No such file or directory; check the path"):
        export(run, "csv", tmp_path / "none" / "out.csv")
