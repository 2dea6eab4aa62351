"""`compare` over real runs: two models and two prompt types, a gate in both directions, stages against another tool's result."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Program

Sweep = Callable[..., dict[str, Any]]
SKILL = {"strong": 0.95, "weak": 0.4}
TASKS = 60


def two_models(sweep: Sweep, folder: Path, tasks: int = TASKS, **weak: Any) -> dict[str, Any]:
    fast = {"latency": {"ttft_s": 0.01, "itl_s": 0.0}}
    sections = sweep(folder, tasks, deployments={"strong": fast, "weak": {**fast, **weak}}, answers={"skill": SKILL})
    models = {name: {"provider": "sim", "deployments": [name]} for name in SKILL}
    return {**sections, "models": models, "sweep": {"prompt_types": ["baseline", "cot"]}, "run": {"stagger_s": [0]}}


@pytest.fixture(scope="module")
def compared(
    make_program: Callable[[Path], Program], sweep: Sweep, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Program, Path]:
    program = make_program(tmp_path_factory.mktemp("compared"))
    program.write(two_models(sweep, program.folder))
    return program, program.path(program.run("sweep.yaml"))


def test_models_are_compared_within_prompt_types_in_every_form(compared: tuple[Program, Path]) -> None:
    program, run = compared
    within = ("compare", run, "--axis", "model", "--by", "prompt_type")
    markdown = program(*within, "--format", "markdown").out.splitlines()
    assert markdown[0] == "**model: against strong**"
    assert [line.split(" | ")[0] for line in markdown[4:]] == ["| baseline", "| cot"]
    assert all(line.endswith(" worse |") for line in markdown[4:])
    latex = program(*within, "--format", "latex").out
    assert latex.count("weak & 60 & ") == 2
    assert r"\toprule" in latex
    document = json.loads(program(*within, "--json").out)
    assert [one["prompt_type"] for one in document["contrasts"]] == ["baseline", "cot"]
    assert {one["method"] for one in document["contrasts"]} == {"McNemar mid-p"}


def test_the_gate_closes_where_a_level_is_worse_and_opens_where_it_is_better(compared: tuple[Program, Path]) -> None:
    program, run = compared
    closed = program("compare", run, "--fail-if-worse")
    assert (closed.code, closed.err.strip()) == (1, "weak is worse against strong")
    active = program("compare", run, "--baseline", "weak", "--fail-if-worse")
    assert (active.code, active.err) == (0, "")
    assert "better" in active.out


def test_a_run_against_itself_is_no_evidence_and_passes_the_gate(compared: tuple[Program, Path]) -> None:
    program, run = compared
    done = program("compare", run, "--axis", "prompt_type", "--fail-if-worse")
    assert (done.code, "no evidence" in done.out) == (0, True)


@pytest.mark.matrix
def test_nothing_is_ranked_where_one_model_lost_samples_to_faults(
    program: Program, sweep: Sweep, tmp_path: Path
) -> None:
    program.write(two_models(sweep, tmp_path, faults={"error_500": 0.3}))
    run = program.path(program.run("sweep.yaml", "--max-retries", 0))
    done = program("compare", run, "--baseline", "weak", "--fail-if-worse")
    assert done.code == 1
    assert "strong is not comparable against weak (without a score: " in done.err
    assert "better" not in done.out


@pytest.mark.matrix
def test_whole_runs_are_compared_on_what_they_share(compared: tuple[Program, Path], sweep: Sweep) -> None:
    program, run = compared
    sections = two_models(sweep, program.folder)
    sections["providers"]["sim"]["answers"] = {"skill": 0.1}
    program.write(sections, "changed.yaml")
    changed = program.path(program.run("changed.yaml"))
    done = program("compare", run, changed, "--format", "json", "--fail-if-worse")
    (contrast,) = json.loads(done.out)["contrasts"]
    assert (done.code, contrast["verdict"], contrast["baseline"]["name"]) == (1, "worse", run.name)
    assert contrast["pairs"] == 4 * TASKS
    within = program("compare", run, changed, "--axis", "model", "--by", "run", "--json")
    assert {one["run"] for one in json.loads(within.out)["contrasts"]} == {run.name, changed.name}
    pooled = program("compare", run, changed, "--axis", "model")
    assert pooled.code == 2
    assert "the runs hold the same samples; choose the axis run" in pooled.err


GUIDELLM: Mapping[str, Any] = {
    "metadata": {"version": 2},
    "benchmarks": [
        {
            "duration": 1.0,
            "metrics": {
                "request_totals": {"successful": 40, "errored": 0, "incomplete": 0, "total": 40},
                "request_latency": {"successful": {"mean": 0.02}},
                "output_token_count": {"successful": {"total_sum": 4000.0}},
            },
        }
    ],
}
"""As far as it is read, of the file that guidellm 0.8 writes."""


@pytest.mark.matrix
def test_stages_are_held_against_another_tools_result(program: Program, sweep: Sweep, tmp_path: Path) -> None:
    stages = []
    for ttft_s, faults in ((0.3, {"error_500": 0.2}), (0.15, {})):
        program.write(
            sweep(tmp_path, 40, deployments={"m": {"latency": {"ttft_s": ttft_s, "itl_s": 0.0}}}, faults=faults)
        )
        stages.append(program.path(program.run("sweep.yaml", "--max-retries", 0, "--max-workers", 4)))
    (tmp_path / "rival.json").write_text(json.dumps(GUIDELLM))
    shown = program("compare", *stages, "--competitor", "rival.json", "--format", "markdown")
    assert shown.code == 0
    assert shown.out.count("**Stages**") == 2
    assert "**Behind rival**" in shown.out
    document = json.loads(program("compare", *stages, "--competitor", "rival.json", "--json").out)
    first, second = document["stages"]
    assert first["success_rate"] < second["success_rate"] == 1.0
    assert first["mean_response_s"] > 0.29 > second["mean_response_s"] > 0.14
    gaps = {row["figure"]: row for row in document["gaps"]}
    assert gaps["success rate"]["closed"] == 1.0
    assert 0 < gaps["mean response"]["closed"] < 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--axis", "prompt_type", "--by", "modle"), "records have no column 'modle'; did you mean \"model\"?"),
        (("--baseline", "wea"), "compare: no model 'wea'; there are strong, weak"),
        (("--axis", "tool_success_rate"), "there is only '1.0' on the axis tool_success_rate"),
    ],
)
def test_a_question_that_has_no_answer_is_one_sentence(
    compared: tuple[Program, Path], arguments: tuple[str, ...], says: str
) -> None:
    program, run = compared
    done = program("compare", run, *arguments)
    assert done.code == 2
    assert says in done.err
    assert done.err.count("\n") <= 2
