"""Runs with a cache of answers: what is asked again, what is counted, what is told."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from orchestrator.results.run import Run
from tests.integration.conftest import Program

if TYPE_CHECKING:
    from tests.integration.conftest import Done

Sweep = Callable[..., dict[str, Any]]
TASKS = 40
SCORED = ["sample_id", "outcome", "score", "output_text", "finish_reason"]


@pytest.fixture
def cached(program: Program, sweep: Sweep) -> Program:
    """A program whose sweep has a price, a temperature of 0, and a cache of its own."""
    config = sweep(program.folder, tasks=TASKS, faults={"error_500": 0.1, "empty": 0.1})
    config["generation"] = {"temperature": 0}
    config["prices"] = {name: {"input_per_million": 1.0, "output_per_million": 2.0} for name in config["models"]}
    config["cache"] = {"dir": str(program.folder / "cache")}
    program.write(config)
    return program


def records(program: Program, done: Done, columns: list[str]) -> pa.Table:
    return Run.load(program.path(done)).to_arrow(columns).sort_by("sample_id" if "sample_id" in columns else columns[0])


def kept(program: Program) -> int:
    with closing(sqlite3.connect(program.folder / "cache" / "answers.sqlite")) as connection:
        return int(connection.execute("SELECT count(*) FROM answers").fetchone()[0])


def test_what_was_asked_before_is_not_asked_again(cached: Program) -> None:
    first = cached.run("sweep.yaml", "--cache")
    assert f"cache: 0 of {TASKS} requests were answered from it" in first.out
    answered = records(cached, first, ["outcome"]).column("outcome").to_pylist().count("ok")
    assert kept(cached) == answered

    again = cached.run("sweep.yaml", "--cache")
    assert f"cache: {answered} of {TASKS} requests were answered from it" in again.out
    assert "saved 0.0" in again.out
    assert records(cached, again, SCORED).to_pylist() == records(cached, first, SCORED).to_pylist()
    hits = [
        row
        for row in records(
            cached, again, ["cache_hit", "cost_usd", "saved_usd", "attempts", "instance", "started_at", "outcome"]
        ).to_pylist()
        if row["outcome"] == "ok"
    ]
    assert len(hits) == answered
    for row in hits:
        assert (row["cache_hit"], row["cost_usd"], row["attempts"], row["instance"], row["started_at"]) == (
            True,
            0,
            0,
            None,
            None,
        )
        assert row["saved_usd"] > 0


def test_one_more_prompt_type_asks_only_that(cached: Program) -> None:
    first = cached.run("sweep.yaml", "--cache")
    answered = records(cached, first, ["outcome"]).column("outcome").to_pylist().count("ok")
    more = cached.run("sweep.yaml", "--cache=read", "--prompt-types", "baseline,cot")
    assert f"cache: {answered} of {2 * TASKS} requests were answered from it" in more.out
    assert kept(cached) == answered


def test_a_run_without_a_cache_can_be_imported(cached: Program) -> None:
    first = cached.run("sweep.yaml")
    assert "cache:" not in first.out
    answered = records(cached, first, ["outcome"]).column("outcome").to_pylist().count("ok")
    told = cached("cache", "import", str(first.run_directory))
    assert told.out.startswith(f"{answered} answers kept")
    again = cached.run("sweep.yaml", "--cache")
    assert f"cache: {answered} of {TASKS} requests" in again.out
    assert records(cached, again, SCORED).to_pylist() == records(cached, first, SCORED).to_pylist()

    info = cached("cache", "info", "--dir", "cache")
    assert f"{answered} answers" in info.out
    assert f"{answered} answers deleted" in cached("cache", "clear", "--dir", "cache").out


def test_no_key_is_in_the_cache(cached: Program) -> None:
    cached.run("sweep.yaml", "--cache")
    stored = b"".join(path.read_bytes() for path in (cached.folder / "cache").iterdir())
    assert stored
    assert b"Bearer" not in stored
    assert b"sim-" not in stored


def test_a_file_that_is_no_cache_ends_no_run(cached: Program) -> None:
    (cached.folder / "cache").mkdir()
    (cached.folder / "cache" / "answers.sqlite").write_bytes(b"no database at all" * 100)
    done = cached.run("sweep.yaml", "--cache")
    assert done.code == 0
    assert "set aside" in done.err


def test_a_folder_that_cannot_be_used_is_named_before_anything_is_sent(cached: Program) -> None:
    (cached.folder / "cache").write_text("")
    done = cached.run("sweep.yaml", "--cache")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "cache.dir" in done.err


@pytest.mark.parametrize("workers", [1, 4])
def test_a_failure_of_the_one_that_asks_holds_up_nobody(program: Program, sweep: Sweep, workers: int) -> None:
    """Equal requests wait for the first; that fails, waits to retry, and needs a worker again."""
    config = sweep(program.folder, tasks=1)
    lines = [{"id": f"t{number}", "question": "Why?", "answer": "1"} for number in range(30)]
    (program.folder / "equal.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    config["tasks"] = [
        {"path": "equal.jsonl", "fields": {"input": "question", "target": "answer"}, "scorer": "includes"}
    ]
    config["providers"]["sim"]["faults"] = {"error_500": 0.6}
    config["generation"] = {"temperature": 0}
    config["cache"] = {"dir": "cache"}
    config["run"] = {**config.get("run", {}), "sample_timeout_s": 60, "max_workers": workers}
    program.write(config)
    done = program.run("sweep.yaml", "--cache")
    assert done.code == 0, done.out
    models = len(config["models"])
    assert f"cache: {30 * models - models} of {30 * models} requests" in done.out
