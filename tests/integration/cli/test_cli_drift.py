"""A run that checks its instances first: another model behind one deployment is told of, everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.results.run import Run

if TYPE_CHECKING:
    from tests.integration.conftest import Books, Program

Sweep = Callable[..., dict[str, Any]]
FAST = {"latency": {"ttft_s": 0.01, "itl_s": 0.0}, "dialect": "azure"}
WARNING = "sim/m-3 may not be the model that the other instances of m are: its answers name the model 'gpt-2'"


def drifted(sweep: Sweep, folder: Path) -> dict[str, Any]:
    return sweep(folder, deployments={"m-1": FAST, "m-2": FAST, "m-3": {**FAST, "model": "gpt-2"}})


def test_a_run_warns_before_it_pools(program: Program, sweep: Sweep, books: Books, tmp_path: Path) -> None:
    program.write(drifted(sweep, tmp_path))
    done = program.run("sweep.yaml", "--drift-check", 5)
    path = program.path(done)
    assert done.code == 0
    assert f"warning: {WARNING}" in done.err
    assert WARNING in done.out
    books.require_each_once(path, 20)
    decisions = [json.loads(line) for line in (path / "decisions.jsonl").read_bytes().splitlines()]
    (told,) = [one for one in decisions if one["event"] == "drift"]
    assert (told["instance"], told["model"]) == ("sim/m-3", "m")
    found = Run.load(path)
    assert len(found.drifts()) == 1
    assert "warning: sim/m-3 may not be" in found._repr_html_()
    # 20 samples and 5 canaries at each of three instances
    assert books.logged(path) == 20 + 3 * 5
    (execution,) = [json.loads(line) for line in (path / "executions.jsonl").read_bytes().splitlines()]
    rows = books.rows(path)
    assert execution["spent_tokens"] > sum(row["input_tokens"] + row["output_tokens"] for row in rows)


@pytest.mark.matrix
def test_a_run_pays_for_its_canaries_once_and_within_its_limits(
    program: Program, sweep: Sweep, books: Books, tmp_path: Path
) -> None:
    program.write(drifted(sweep, tmp_path))
    done = program.run("sweep.yaml", "--drift-check", 5, "--token-limit", 240)
    path = program.path(done)
    assert done.code == 3
    assert books.logged(path) > 3 * 5
    again = program("resume", path)
    assert again.code == 3
    (first, second) = [json.loads(line) for line in (path / "executions.jsonl").read_bytes().splitlines()]
    assert (first["drift_checked"], second["drift_checked"]) == (True, False)
    billed = sum(line["tokens"] for line in books.log(path))
    assert first["spent_tokens"] <= second["spent_tokens"] == billed <= 240
    assert program("resume", path, "--token-limit", 100_000).code == 0
    assert books.logged(path) == 20 + 3 * 5
    assert len(Run.load(path).drifts()) == 1


@pytest.mark.matrix
def test_canaries_that_no_limit_has_room_for_are_not_sent(
    program: Program, sweep: Sweep, books: Books, tmp_path: Path
) -> None:
    program.write(drifted(sweep, tmp_path))
    done = program.run("sweep.yaml", "--drift-check", 5, "--token-limit", 5)
    assert (done.code, books.logged(program.path(done))) == (3, 0)
    assert "has too little data on sim/m-3, which answered 0 of 5: the token limit is reached" in done.err


@pytest.mark.matrix
def test_nobody_is_asked_where_nobody_asked_for_it(
    program: Program, sweep: Sweep, books: Books, tmp_path: Path
) -> None:
    program.write(drifted(sweep, tmp_path))
    done = program.run("sweep.yaml")
    assert "may not be" not in done.out + done.err
    assert books.logged(program.path(done)) == 20


def test_doctor_finds_the_same_and_equal_deployments_are_well(program: Program, sweep: Sweep, tmp_path: Path) -> None:
    program.write(drifted(sweep, tmp_path), "drifted.yaml")
    program.write(sweep(tmp_path), "equal.yaml")
    found = program("doctor", "drifted.yaml", "--drift", 5)
    assert (found.code, found.out.count("DRIFTED")) == (1, 1)
    assert program("doctor", "equal.yaml", "--drift", 5).code == 0
