"""Scores through the whole program: calls of tools against their truth, a judge beside the models, faults that change no score."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.results.run import Run

if TYPE_CHECKING:
    from tests.integration.conftest import Books, Program

Sweep = Callable[..., dict[str, Any]]

DATA = Path(__file__).parents[2].parent / "shared" / "data"
BFCL = {"simple_python": 400, "multiple": 200, "parallel": 200}
FAST = {"ttft_s": 0.002, "itl_s": 0.0}
CORRUPTIONS = ["tool_selection", "parameter", "sequence_order", "missing", "redundant", "format", "refusal"]

needs_bfcl = pytest.mark.skipif(
    not all((DATA / f"bfcl_v4_{name}.jsonl").exists() for name in BFCL),
    reason=f"the BFCL files are not in {DATA}: real task sets are no part of the project",
)


def bfcl_sweep(**answers: Any) -> dict[str, Any]:
    entries = [{"path": str(DATA / f"bfcl_v4_{name}.jsonl"), "reader": "bfcl", "scorer": "tool_calls"} for name in BFCL]
    simulator = {"type": "simulator", "deployments": {"m": {"latency": FAST, "dialect": "azure"}}, "answers": answers}
    return {"providers": {"sim": simulator}, "models": {"m": {"provider": "sim"}}, "tasks": entries}


@pytest.mark.matrix
@needs_bfcl
def test_accepted_values_score_full_on_every_row_of_bfcl(program: Program, books: Books) -> None:
    program.write(bfcl_sweep())
    path = program.path(program.run("sweep.yaml"))
    books.require_each_once(path, 800)
    rows = books.rows(path)
    assert Counter(row["task_type"] for row in rows) == BFCL
    assert {(row["grade"], row["score"], row["tool_coverage"]) for row in rows} == {("full", 1.0, 1.0)}
    assert all(row["messages"] for row in rows)


@pytest.mark.matrix
@needs_bfcl
def test_every_corruption_is_found_as_it_was_injected_record_by_record(program: Program, books: Books) -> None:
    program.write(bfcl_sweep(corruptions=dict.fromkeys(CORRUPTIONS, 0.07)))
    path = program.path(program.run("sweep.yaml"))
    books.require_each_once(path, 800)
    injected = {line["sample_id"]: line["corruption"] for line in books.log(path)}
    assert {row["sample_id"]: row["score_error"] for row in books.rows(path)} == injected
    assert set(injected.values()) == {None, *CORRUPTIONS} - {"sequence_order"}  # the order is free in all of BFCL
    books.require_truth(path)


def write_plans(folder: Path, count: int) -> None:
    """Tasks of three calls whose order matters."""
    tools = [
        {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
        for name in ("open", "edit", "close", "print")
    ]
    with (folder / "plans.jsonl").open("w") as file:
        for n in range(count):
            calls = [{"name": name, "arguments": {"path": [f"{n}.txt"]}} for name in ("open", "edit", "close")]
            task = {"id": f"p{n}", "input": "edit it", "tools": tools, "target": {"calls": calls, "order": "strict"}}
            file.write(json.dumps(task) + "\n")


def test_calls_in_the_wrong_order_are_told_from_wrong_calls(program: Program, sweep: Sweep, books: Books) -> None:
    write_plans(program.folder, 300)
    config = sweep(program.folder, answers={"corruptions": dict.fromkeys(CORRUPTIONS, 0.1)})
    program.write({**config, "tasks": [{"path": "plans.jsonl", "scorer": "tool_calls"}]})
    path = program.path(program.run("sweep.yaml"))
    injected = {line["sample_id"]: line["corruption"] for line in books.log(path)}
    assert {row["sample_id"]: row["score_error"] for row in books.rows(path)} == injected
    assert set(injected.values()) == {None, *CORRUPTIONS}
    swapped = {
        (row["grade"], round(row["score"], 2)) for row in books.rows(path) if row["score_error"] == "sequence_order"
    }
    assert swapped == {("partial", 0.67)}


FAULTS = {"error_500": 0.04, "reset": 0.02, "malformed": 0.02, "error_in_200": 0.02}


def test_faults_of_the_infrastructure_change_no_score_and_the_bounds_hold_the_truth(
    program: Program, sweep: Sweep, books: Books
) -> None:
    program.write(sweep(program.folder, tasks=300), "clean.yaml")
    program.write(sweep(program.folder, tasks=300, faults=FAULTS), "faulty.yaml")
    clean = program.path(program.run("clean.yaml"))
    done = program.run("faulty.yaml", "--max-retries", 0)
    faulty = program.path(done)
    truth, before = whole(clean), whole(faulty)
    assert done.code == 1
    assert 15 <= before["infra_failures"] <= 45
    assert before["success_rate_worst"] < truth["success_rate"] < before["success_rate_best"]
    assert before["successful"] + before["failed"] == 300 - before["infra_failures"]
    assert "–" in done.out

    assert program("resume", faulty, "--max-retries", 9, "--no-stagger", "--display", "none").code == 0
    books.require_each_once(faulty, 300)
    assert scores(books, faulty) == scores(books, clean)
    after = whole(faulty)
    assert after["success_rate"] == after["success_rate_worst"] == after["success_rate_best"] == truth["success_rate"]


def whole(path: Path) -> dict[str, Any]:
    """The summary of the one model."""
    (row,) = Run.load(path).summary(["model"])
    return dict(row)


def scores(books: Books, path: Path) -> dict[str, tuple[float, str, str]]:
    return {row["sample_id"]: (row["score"], row["grade"], row["score_error"]) for row in books.rows(path)}


@pytest.mark.matrix
def test_models_that_miss_different_shares_are_not_ranked(program: Program, sweep: Sweep) -> None:
    config = sweep(program.folder, tasks=200, keys={"K": {"latency": FAST}}, answers={"skill": 0.8})
    bad = {**config["providers"]["sim"], "faults": {"error_500": 0.15}}
    config["providers"] = {"sim": config["providers"]["sim"], "bad": bad}
    config["models"] = {"a": {"provider": "sim", "keys": ["K"]}, "b": {"provider": "bad", "keys": ["K"]}}
    program.write(config)
    done = program.run("sweep.yaml", "--max-retries", 0)
    assert "a and b are not comparable: missingness 0.0 % vs 1" in done.out


# ------------------------------------------------------------------ a judge
def judged_sweep(sweep: Sweep, folder: Path, **judge: Any) -> dict[str, Any]:
    """`m` on one simulator, its judge `j` on another with a quota of its own."""
    config = sweep(folder, tasks=40, answers={"skill": 0.5})
    config["providers"]["court"] = {"type": "simulator", "deployments": {"j": {"latency": FAST}}, **judge}
    config["models"]["j"] = {"provider": "court"}
    config["sweep"] = {"models": ["m"]}
    config["tasks"] = [{"path": "tasks.jsonl", "scorer": {"name": "model_graded", "judge": "j", "rubric": "Be exact."}}]
    config["prices"] = {
        "m": {"input_per_million": 1, "output_per_million": 2},
        "j": {"input_per_million": 10, "output_per_million": 20},
    }
    return config


def test_a_judge_is_asked_through_its_own_instance_and_its_cost_stands_apart(
    program: Program, sweep: Sweep, books: Books
) -> None:
    program.write(judged_sweep(sweep, program.folder))
    path = program.path(program.run("sweep.yaml"))
    books.require_each_once(path, 40)
    rows, meant = books.rows(path), {line["sample_id"]: line["right"] for line in books.log(path)}
    assert {row["sample_id"]: row["passed"] for row in rows} == meant
    assert {row["model"] for row in rows} == {"m"}
    court = books.log(path, "court")
    assert {line["request_id"] for line in court} == {f"{row['sample_id']}/judge-1/1" for row in rows}
    for row in rows:
        assert row["judge_input_tokens"] > row["input_tokens"]
        spent = (10 * row["judge_input_tokens"] + 20 * row["judge_output_tokens"]) / 1e6
        assert row["judge_cost_usd"] == pytest.approx(spent)
        assert row["cost_usd"] == pytest.approx((row["input_tokens"] + 2 * row["output_tokens"]) / 1e6)
        assert (row["turns"], row["attempts"], row["instance"].split("/")[0]) == (1, 1, "sim")
        assert "GRADE" in json.loads(row["score_details"])["judge"]


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("fails", "error_class"),
    [
        ({"faults": {"error_500": 0.3}}, "judge"),
        ({"faults": {"content_filter": 0.3}}, "judge"),
        ({"faults": {"empty": 0.3}}, "judge"),
        ({"answers": {"corruptions": {"format": 0.6}}}, "judge_format"),
    ],
    ids=["500", "filter", "empty", "unreadable"],
)
def test_what_a_judge_fails_at_is_not_held_against_the_model_and_a_resume_repairs_it(
    program: Program, sweep: Sweep, books: Books, fails: dict[str, Any], error_class: str
) -> None:
    program.write(judged_sweep(sweep, program.folder, **fails))
    done = program.run("sweep.yaml", "--max-retries", 0)
    path = program.path(done)
    assert done.code == 1
    failed = [row for row in books.rows(path) if row["outcome"] != "ok"]
    assert 3 <= len(failed) <= 30
    assert {(row["outcome"], row["error_class"]) for row in failed} == {("infra_failure", error_class)}
    assert all(row["output_text"] and row["score"] is None for row in failed)

    program.write(judged_sweep(sweep, program.folder), "mended.yaml")
    assert program("resume", path, "-c", "mended.yaml", "--no-stagger", "--display", "none").code == 0
    books.require_each_once(path, 40)


def test_a_judge_that_is_no_model_of_the_file_is_found_before_anything_is_sent(program: Program, sweep: Sweep) -> None:
    config = judged_sweep(sweep, program.folder)
    config["tasks"][0]["scorer"]["judge"] = "jj"
    program.write(config)
    done = program.run("sweep.yaml")
    assert done.code == 2
    assert "the judge 'jj' is not under models; did you mean \"j\"?" in done.err


def test_a_template_stands_around_the_answer_and_a_pattern_finds_it(
    program: Program, sweep: Sweep, books: Books
) -> None:
    config = sweep(program.folder, tasks=40, answers={"skill": 0.5, "template": "Answer: {target}"})
    config["tasks"][0]["scorer"] = {"name": "regex", "pattern": "Answer: (.*)"}
    program.write(config)
    path = program.path(program.run("sweep.yaml"))
    books.require_truth(path)
    assert {row["score_error"] for row in books.rows(path)} == {None, "wrong_answer"}
