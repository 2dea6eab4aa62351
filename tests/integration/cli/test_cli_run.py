"""A small sweep from the command line: what is printed, what is written, and that it is true."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.dataset as ds
import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Books, Program

Sweep = Callable[..., dict[str, Any]]

FAULTS = {"error_500": 0.05, "empty": 0.05, "content_filter": 0.05, "length": 0.03, "malformed": 0.03}
VARIES = frozenset({"run_id", "instance", "planned_instance", "moved_reason", "deployment", "throttles"})
VARIES |= {"response_id", "response_model"}
"""Which instance takes which sample is not part of a result, and neither is what follows from it."""


@dataclass(frozen=True)
class Runs:
    """The same sweep three times."""

    parquet: Path
    json: Path
    sdk: Path


@pytest.fixture(scope="module")
def runs(make_program: Callable[[Path], Program], sweep: Sweep, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    program = make_program(tmp_path_factory.mktemp("runs"))
    program.write(sweep(program.folder, tasks=60, faults=FAULTS))
    variants: tuple[list[str], ...] = (
        [],
        ["--set", "run.storage_format=json"],
        ["--set", "providers.sim.transport=sdk"],
    )
    ended = [program.run("sweep.yaml", "--prompt-types", "baseline,cot", *more) for more in variants]
    assert [done.code for done in ended] == [0, 0, 0]
    return Runs(*(program.path(done) for done in ended))


def test_a_sweep_ends_with_its_summary_and_its_directory(program: Program, sweep: Sweep, books: Books) -> None:
    program.write(sweep(program.folder))
    done = program.run("sweep.yaml", "-o", "out")
    assert done.code == 0
    assert done.err == ""
    assert "20 of 20 samples have a final record: every sample has its record" in done.out
    assert [word for word in ("Summary", "baseline", "even", "odd", "success") if word not in done.out] == []
    assert done.run_directory.parent == Path("out")
    books.require_each_once(program.path(done), 20)


def test_a_run_directory_holds_what_it_should(runs: Runs) -> None:
    names = {path.name for path in runs.parquet.iterdir()}
    expected = {"manifest.json", "executions.jsonl", "journal", "results", "decisions.jsonl", "summary.json"}
    assert names == expected | {"simulator-sim.jsonl", ".lock"}
    parts = {"part-000001.parquet", ".part-000001.parquet.crc32", "unresolved.parquet"}
    assert {path.name for path in (runs.parquet / "results").iterdir()} == parts
    rows = json.loads((runs.parquet / "summary.json").read_bytes())
    assert sum(row["total"] for row in rows) == 120


def test_json_and_parquet_hold_the_same_rows(runs: Runs, books: Books) -> None:
    assert comparable(books.rows(runs.json)) == comparable(books.rows(runs.parquet))


def test_the_openai_package_gives_the_same_records_as_the_native_transport(runs: Runs, books: Books) -> None:
    assert comparable(books.rows(runs.sdk)) == comparable(books.rows(runs.parquet))


def comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without instances and times."""
    ordered = sorted(rows, key=lambda row: str(row["sample_id"]))
    return [
        {name: value for name, value in row.items() if name not in VARIES and not name.endswith(("_s", "_at"))}
        | {"error_message": None, "raw_response": None}  # they name the instance and the time
        for row in ordered
    ]


@pytest.mark.parametrize("form", ["parquet", "json", "sdk"])
def test_passed_is_what_the_simulator_meant(runs: Runs, books: Books, form: str) -> None:
    path = getattr(runs, form)
    books.require_truth(path)
    books.require_each_once(path, 120)


def test_faults_of_the_model_are_told_from_wrong_answers(runs: Runs, books: Books) -> None:
    rows = books.rows(runs.parquet)
    failures = {row["error_class"] for row in rows if row["outcome"] == "model_failure"}
    assert {"content_filter", "length"} <= failures <= {"content_filter", "length", "empty"}
    assert all(row["passed"] is False and row["output_text"] is None for row in rows if row["outcome"] != "ok")
    assert any(row["attempts"] > 1 for row in rows)


def test_parquet_is_read_by_others_without_our_code(runs: Runs) -> None:
    results = runs.parquet / "results"
    frame = pd.read_parquet(results)
    assert len(frame) == ds.dataset(results).count_rows() == 120
    assert frame.passed.notna().all()
    assert set(frame.columns) >= {"model", "prompt_type", "score", "total_s", "ttft_s", "cost_usd"}


def test_jsonl_is_read_by_others_without_our_code(runs: Runs) -> None:
    frame = pd.read_json(runs.json / "results" / "results.jsonl", lines=True)
    assert len(frame) == 120


def test_settings_of_the_environment_reach_the_run(program: Program, sweep: Sweep) -> None:
    program.write(sweep(program.folder, tasks=4))
    program.variables = {"STORAGE_FORMAT": "json", "RATE_MODE": "fixed", "ORCHESTRATOR_SWEEP__LIMIT": "2"}
    done = program.run("sweep.yaml")
    assert (program.path(done) / "results" / "results.jsonl").read_text().count("\n") == 2
    manifest = json.loads((program.path(done) / "manifest.json").read_bytes())["manifest"]
    assert manifest["raw"]["run"]["rate_mode"] == "fixed"


def test_samples_that_no_retry_saves_are_left_for_a_resume(program: Program, sweep: Sweep, books: Books) -> None:
    program.write(sweep(program.folder, tasks=20, faults={"error_500": 0.5}))
    done = program.run("sweep.yaml", "--max-retries", 0)
    assert done.code == 1
    assert "samples have no final outcome" in done.out
    assert f"to go on: python -m orchestrator resume {done.run_directory}" in done.out
    rows = books.rows(program.path(done))
    assert len(rows) == 20
    lost = [row for row in rows if row["outcome"] == "infra_failure"]
    assert lost
    assert all(row["passed"] is None and row["error_class"] == "server_error" for row in lost)


def test_a_loose_dotenv_file_is_warned_of(program: Program, sweep: Sweep) -> None:
    program.write(sweep(program.folder, tasks=1))
    (program.folder / ".env").write_text("STORAGE_FORMAT=json\n")
    (program.folder / ".env").chmod(0o644)
    done = program.run("sweep.yaml")
    dotenv = program.folder / ".env"
    assert done.err == f"warning: {dotenv} can be read by others; run: chmod 600 {dotenv}\n"
    assert (program.path(done) / "results" / "results.jsonl").exists()


def test_where_the_own_scorer_fails_the_way_to_go_on_is_the_one_that_works(program: Program, sweep: Sweep) -> None:
    mine = program.folder / "failing_scorer.py"
    mine.write_text("def grade(sample, answer):\n    return answer.txt\n")
    program.write(
        {**sweep(program.folder, tasks=3), "tasks": [{"path": "tasks.jsonl", "scorer": "failing_scorer:grade"}]}
    )
    failed = program.run("sweep.yaml")
    (advice,) = [line for line in failed.out.splitlines() if line.startswith("to go on")]
    assert "after the correction of your own code: python -m orchestrator resume" in advice
    assert f"python -m orchestrator rescore {failed.run_directory} grades them" in failed.out
    mine.write_text("def grade(sample, answer):\n    return True\n")
    again = program(*advice.partition("python -m orchestrator ")[2].split())
    assert (again.code, "every sample has its record" in again.out) == (0, True), again.err
