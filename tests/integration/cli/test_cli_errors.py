"""What a person got wrong: one sentence on standard error, exit code 2, and nothing left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Program

Sweep = Callable[..., dict[str, Any]]


def complaint(program: Program, *arguments: object) -> str:
    """The one sentence; there is no traceback, no other output and no run directory."""
    done = program("run", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert not (program.folder / "runs").exists()
    return done.err.removeprefix("error: ").rstrip("\n")


def test_a_missing_variable_is_named(program: Program, sweep: Sweep) -> None:
    sections = sweep(program.folder)
    sections["providers"]["gate"] = {"type": "gateway", "base_url": "http://127.0.0.1:9/v1", "api_key_envs": ["NO_KEY"]}
    sections["models"]["m"] = {"provider": "gate"}
    program.write(sections)
    said = complaint(program, "sweep.yaml")
    assert said == "the environment variable NO_KEY is not set; export it or write it into .env"


def test_a_misspelt_key_is_named_with_the_nearest(program: Program, sweep: Sweep) -> None:
    program.write({**sweep(program.folder), "run": {"max_retrys": 3}})
    said = complaint(program, "sweep.yaml")
    assert said.startswith('sweep.yaml: run.max_retrys: unknown key; did you mean "max_retries"? Known: ')


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ('{"question": "What is 731 + 731?", "answer": ', "not valid JSON"),
        ('{"messages": [{"role": "usr", "content": "?"}]}', "message 1 has the role 'usr'"),
    ],
)
def test_a_bad_row_is_named_with_file_and_line(program: Program, sweep: Sweep, row: str, says: str) -> None:
    program.write(sweep(program.folder, tasks=800))
    tasks = program.folder / "tasks.jsonl"
    lines = tasks.read_text().splitlines()
    lines[730] = row
    tasks.write_text("\n".join(lines) + "\n")
    said = complaint(program, "sweep.yaml")
    assert said.startswith("tasks.jsonl, line 731: ")
    assert says in said


def test_two_rows_of_one_id_are_named(program: Program, sweep: Sweep) -> None:
    program.write(sweep(program.folder, tasks=5))
    with (program.folder / "tasks.jsonl").open("a") as file:
        file.write(json.dumps({"id": "t3", "question": "?", "answer": 1}) + "\n")
    said = complaint(program, "sweep.yaml")
    assert "t3" in said
    assert "line 6" in said


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--model", "mm"], "sweep.yaml: no model 'mm'; did you mean \"m\"? Known: m"),
        (["--set", "run.solver=single_trun"], "run.solver: no solver 'single_trun'"),
        (["--set", "run.debug_process_num=3"], "DEBUG_PROCESS_NUM is 3, but the plan has 2 shards"),
        (["--set", "models.m.deployments=[m-3]"], "sim has no deployment 'm-3'; did you mean \"m-2\""),
        (["--set", "run.grace_s=soon"], "sweep.yaml: run.grace_s (from --set run.grace_s): "),
    ],
)
def test_a_wrong_flag_is_named(program: Program, sweep: Sweep, flags: list[str], says: str) -> None:
    program.write(sweep(program.folder))
    assert says in complaint(program, "sweep.yaml", *flags)


def test_a_wrong_scorer_is_found_before_anything_is_sent(program: Program, sweep: Sweep) -> None:
    program.write({**sweep(program.folder), "tasks": [{"path": "tasks.jsonl", "scorer": "numerc"}]})
    assert complaint(program, "sweep.yaml").startswith("no scorer 'numerc'; did you mean \"numeric\"?")


def test_a_missing_file_is_one_sentence(program: Program) -> None:
    assert complaint(program, "none.yaml") == "cannot read none.yaml: No such file or directory"


@pytest.mark.parametrize("arguments", [[], ["a.yaml", "--set", "x"]])
def test_wrong_usage_ends_with_2(program: Program, arguments: list[str]) -> None:
    done = program("run", *arguments)
    assert done.code == 2
    assert "Error: " in done.err


def test_an_output_folder_that_cannot_be_made_is_one_sentence(program: Program, sweep: Sweep) -> None:
    program.write(sweep(program.folder))
    done = program("run", "sweep.yaml", "-o", "tasks.jsonl")
    assert done.code == 2
    assert done.err.startswith("error: cannot make the run directory tasks.jsonl/")
    assert done.err.count("\n") == 1


def test_a_name_that_is_no_utf_8_gets_one_sentence(program: Program) -> None:
    done = program.finish(program.start_python("-m", "orchestrator", "verify", "a\udcfe"))
    assert (done.code, done.out) == (2, "")
    assert done.err == "Error: a? is not UTF-8 text; give the file or folder a name that is\n"
