"""The examples do what their first lines say."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from orchestrator.config.environment import Environment, SettingOverride
from orchestrator.config.loading import load_config
from orchestrator.open_sweep import open_sweep
from orchestrator.results.run import Run
from orchestrator.results.summaries.summary import HIERARCHY
from sharding.scenarios import SCENARIOS, SweepScenario
from sharding.tasks.task import Task
from sharding.tasks.tool_plan import plan_of
from sharding.tasks.tool_results import declared_results

EXAMPLES = Path(__file__).parents[2] / "examples"
DATA = Path(__file__).parents[2].parent / "shared" / "data"
MODELS = 4
TASK_TYPES = {"simple_task", "basic_task", "data_pipeline", "api_integration", "multi_stage_pipeline"}
BELIEVED = {
    "flawed_sequence_disorder": "sequence_order",
    "flawed_tool_misuse": "tool_selection",
    "flawed_parameter_error": "parameter",
    "flawed_missing_step": "missing",
    "flawed_redundant_operations": "redundant",
    "flawed_logical_inconsistency": "missing",
    "flawed_semantic_drift": "missing",
}
"""What comes of each flaw where a model believes it."""


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=110, check=False)


def swept(folder: Path, *arguments: object) -> Run:
    """`run` of a file in a folder that people work in, to the end; its results."""
    ended = run(sys.executable, "-m", "orchestrator", "run", *arguments, "--display", "none", cwd=folder)
    assert ended.returncode == 0, ended.stderr
    return Run.load(folder / ended.stdout.splitlines()[-1].removeprefix("run directory: "))


def summary(found: Run, *by: str) -> list[dict[str, Any]]:
    return [{**row} for row in found.summary(by or HIERARCHY)]


@pytest.fixture(scope="module")
def carried_out(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """The run of a scenario, once."""
    runs: dict[str, Run] = {}

    def carry_out(name: str) -> Run:
        if name not in runs:
            chosen = ("--set", f"sweep.scenario={name}", "--no-stagger")
            runs[name] = swept(tmp_path_factory.mktemp(name), EXAMPLES / "scenarios.yaml", *chosen)
        return runs[name]

    return carry_out


def scenario_tasks() -> list[Task]:
    loaded = load_config(
        EXAMPLES / "scenarios.yaml", Environment({}), [SettingOverride("sweep.scenario", "scale", "--scenario")]
    )
    tasks = open_sweep(loaded).tasks
    found = [tasks[row] for row in range(len(tasks))]
    tasks.close()
    return found


@pytest.mark.matrix
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_every_scenario_runs_by_one_command(scenario: SweepScenario, carried_out: Callable[[str], Run]) -> None:
    rows = summary(carried_out(scenario.name))
    difficulties = scenario.difficulties or ("easy", "medium", "hard")
    assert {row["task_type"] for row in rows} == TASK_TYPES
    assert {row["difficulty"] for row in rows} == set(difficulties)
    assert {row["tool_success_rate"] for row in rows} == set(scenario.tool_success_rates)
    assert {row["prompt_type"] for row in rows} == set(scenario.prompt_types)
    cells = MODELS * len(scenario.prompt_types) * len(scenario.tool_success_rates) * len(difficulties) * len(TASK_TYPES)
    assert [row["total"] for row in rows] == [4] * cells
    assert {row["infra_failures"] for row in rows} == {0}


@pytest.mark.matrix
def test_harder_tasks_and_worse_tools_cost_success_and_better_prompts_gain_it(
    carried_out: Callable[[str], Run],
) -> None:
    for scenario, axis, falling in (
        ("scale", "difficulty", ["easy", "medium", "hard"]),
        ("prompt-sensitivity", "prompt_type", ["optimal", "cot", "baseline"]),
    ):
        rates = {row[axis]: row["success_rate"] for row in summary(carried_out(scenario), axis)}
        assert sorted(rates, key=lambda name: rates[name], reverse=True) == falling
    rates = {
        row["tool_success_rate"]: row["success_rate"]
        for row in summary(carried_out("tool-reliability"), "tool_success_rate")
    }
    assert rates[0.6] < rates[0.7] < min(rates[0.8], rates[0.9])


@pytest.mark.matrix
def test_tool_success_rates_run_one_after_another_each_over_all_instances(carried_out: Callable[[str], Run]) -> None:
    rows = carried_out("tool-reliability").to_pandas()
    stages = [rows[rows.tool_success_rate == rate] for rate in (0.9, 0.8, 0.7, 0.6)]
    for before, after in pairwise(stages):
        assert before.completed_at.max() <= after.started_at.min()
    assert [stage.planned_instance.nunique() for stage in stages] == [9] * 4
    for row in summary(carried_out("tool-reliability"), "tool_success_rate"):
        assert row["tool_success_low"] <= row["tool_success_rate"] <= row["tool_success_high"]


@pytest.mark.matrix
@pytest.mark.parametrize("prompt_type", BELIEVED)
def test_a_flaw_shows_as_its_own_class_of_errors(prompt_type: str, carried_out: Callable[[str], Run]) -> None:
    errors = {row["prompt_type"]: Counter(row["errors"]) for row in summary(carried_out("flawed"), "prompt_type")}
    own = BELIEVED[prompt_type]
    without = Counter({name: count for name, count in errors[prompt_type].items() if name != "tool_failure"})
    assert without.most_common(1)[0][0] == own
    others = [errors[other][own] for other in BELIEVED if BELIEVED[other] != own]
    assert errors[prompt_type][own] > max(others)


def test_the_tasks_of_the_scenarios_can_be_solved_and_spoilt() -> None:
    tasks = scenario_tasks()
    assert Counter((task.task_type, task.difficulty) for task in tasks) == {
        (task_type, difficulty): 4 for task_type in TASK_TYPES for difficulty in ("easy", "medium", "hard")
    }
    for task in tasks:
        plan, results = plan_of(task), declared_results(task)
        assert plan is not None
        assert len(plan.steps) >= 3
        assert len({step.tool for step in plan.steps}) >= 2
        assert all(step.description for step in plan.steps)
        offered: list[Any] = [tool["function"] for tool in task.tools]
        schemas = {function["name"]: function["parameters"] for function in offered}
        for step in plan.steps:
            jsonschema.validate(dict(step.arguments), schemas[step.tool])
            assert results[step.tool].result_of(step.arguments) != {"status": "not found"}, (task.task_id, step.tool)


def test_every_flaw_can_befall_every_task_of_the_scenarios() -> None:
    flags = [
        SettingOverride("sweep.scenario", "flawed", "--scenario"),
        SettingOverride("sweep.difficulties", "all", "--difficulty"),
    ]
    found = open_sweep(load_config(EXAMPLES / "scenarios.yaml", Environment({}), flags))
    found.sweep.check_prompts()
    found.tasks.close()


@pytest.mark.matrix
def test_the_workflow_example_runs_with_its_own_tags_registry_and_flawed_plans(tmp_path: Path) -> None:
    chosen = ("--num-instances", 1, "--prompt-types", "optimal,missing_severe", "--model", "DeepSeek-V3-0324")
    found = swept(tmp_path, EXAMPLES / "workflow" / "sweep.yaml", *chosen)
    rows = summary(found, "prompt_type", "task_type")
    assert {row["task_type"] for row in rows} == TASK_TYPES
    assert [(row["total"], row["infra_failures"]) for row in rows] == [(1, 0)] * 10
    for row in found.to_arrow(["messages", "input", "prompt_type", "tool_trace"]).to_pylist():
        assert "<tool_search_result>" in row["messages"]
        assert "<tool_result>" in row["messages"]
        assert row["tool_trace"] is not None
        assert ("Step 2: " in row["input"]) == (row["prompt_type"] == "optimal")


@pytest.mark.matrix
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_the_workflow_example_runs_every_scenario(scenario: SweepScenario, tmp_path: Path) -> None:
    rows = summary(swept(tmp_path, EXAMPLES / "workflow" / "sweep.yaml", "--scenario", scenario.name))
    assert {row["task_type"] for row in rows} == TASK_TYPES
    assert {row["infra_failures"] for row in rows} == {0}
    assert any(row["partial"] for row in rows)


def laid_out(folder: Path, name: str, *files: str) -> Path:
    """An example in a folder of its own, its data beside it."""
    for file in files:
        if not (DATA / file).exists():
            pytest.skip(f"{file} is not in {DATA}: real task sets are no part of the project")
        (folder / file).symlink_to(DATA / file)
    return Path(shutil.copy(EXAMPLES / name, folder))


@pytest.mark.matrix
def test_the_example_of_gsm8k_runs_on_its_file(tmp_path: Path) -> None:
    sweep = laid_out(tmp_path, "gsm8k.yaml", "gsm8k_test.jsonl")
    rows = summary(swept(tmp_path, sweep.name, "--limit", 200), "model", "prompt_type")
    assert [row["total"] for row in rows] == [200] * 4


@pytest.mark.matrix
def test_the_example_of_bfcl_scores_a_perfect_model_in_full(tmp_path: Path) -> None:
    files = [
        f"bfcl_v4_{name}{end}.jsonl" for name in ("simple_python", "multiple", "parallel") for end in ("", "_answers")
    ]
    sweep = laid_out(tmp_path, "bfcl.yaml", *files)
    rows = {row["model"]: row for row in summary(swept(tmp_path, sweep.name), "model")}
    assert (rows["perfect"]["total"], rows["perfect"]["successful"]) == (800, 800)
    assert 0.7 < rows["gpt-4o-mini"]["success_rate"] < 0.9


@pytest.mark.matrix
@pytest.mark.parametrize("name", ["gsm8k.yaml", "bfcl.yaml"])
def test_an_example_without_its_data_says_which_file_is_missing(name: str, tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / name, tmp_path)
    ended = run(sys.executable, "-m", "orchestrator", "plan", name, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert ".jsonl: " in ended.stderr


@pytest.mark.matrix
def test_the_research_script_compares_two_methods(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    ended = run(sys.executable, EXAMPLES / "research.py", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("vote of three") == ended.stdout.count("one answer") == 3
