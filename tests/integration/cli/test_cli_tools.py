"""Tool use from the command line: reliability stage by stage, tools as text, flawed prompts, and a person's own code that fails."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Books, Program

Sweep = Callable[..., dict[str, Any]]
PLAN = [
    {"tool": "hotel.find", "arguments": {"city": "Paris", "nights": 2}, "description": "Find a room."},
    {"tool": "hotel.book", "arguments": {"room": 7}, "description": "Book it."},
    {"tool": "tell", "arguments": {"who": "ann"}, "description": "Tell Ann."},
]
TOOLS = [{"type": "function", "function": {"name": step["tool"], "parameters": {"type": "object"}}} for step in PLAN]
RATES = ["0.9", "0.8", "0.7", "0.6"]


def tool_sweep(program: Program, sweep: Sweep, tasks: int, **run: Any) -> dict[str, Any]:
    """Two models of one skill each, on tasks with a plan of three steps."""
    sections = sweep(program.folder, tasks=1, answers={"skill": {"m": 1.0, "n": 0.5}})
    row = {"tools": TOOLS, "metadata": {"plan": PLAN, "goal": "A room is booked."}, "answer": "Booked"}
    rows = [{"id": f"t{number}", "question": f"Book room {number}.", **row} for number in range(tasks)]
    (program.folder / "tasks.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    sections["models"] = {
        "m": {"provider": "sim", "deployments": ["m-1"]},
        "n": {"provider": "sim", "deployments": ["m-2"]},
    }
    sections["tasks"] = [{"path": "tasks.jsonl", "scorer": "exact"}]
    sections["run"] = {"solver": "tool_loop", **run}
    return sections


def failing(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[tuple[str, int], bool]]:
    """By rate and model: whether the n-th call of a task's tool failed."""
    found: dict[tuple[str, str], dict[tuple[str, int], bool]] = defaultdict(dict)
    for row in rows:
        earlier: dict[str, int] = defaultdict(int)
        for call in json.loads(row["tool_trace"] or "[]"):
            if not call["rejection"]:
                place = (f"{row['task_id']}/{call['name']}", earlier[call["name"]])
                earlier[call["name"]] += 1
                found[f"{row['tool_success_rate']:g}", row["model"]][place] = call["failure"] is not None
    return found


@pytest.mark.matrix
def test_tools_fail_at_their_rate_for_every_model_alike_and_what_fails_at_a_rate_fails_at_lower_ones(
    program: Program, sweep: Sweep, books: Books
) -> None:
    program.write(tool_sweep(program, sweep, tasks=60))
    done = program.run("sweep.yaml", "--tool-success-rate", ",".join(RATES))
    assert done.code == 0, done.err
    rows = books.rows(program.path(done))
    books.require_each_once(program.path(done), 60 * 2 * len(RATES))
    books.require_truth(program.path(done))
    calls = failing(rows)
    for rate in RATES:
        one, other = calls[rate, "m"], calls[rate, "n"]
        assert len(one.keys() & other.keys()) > 60
        assert all(one[call] == other[call] for call in one.keys() & other.keys())
        count = sum(
            row["tool_calls"] - row["tool_rejections"] for row in rows if f"{row['tool_success_rate']:g}" == rate
        )
        failures = sum(row["tool_failures"] for row in rows if f"{row['tool_success_rate']:g}" == rate)
        wanted = float(rate)
        assert abs(1 - failures / count - wanted) < 5 * (wanted * (1 - wanted) / count) ** 0.5
    for high, low in pairwise(RATES):
        shared = calls[high, "m"].keys() & calls[low, "m"].keys()
        assert all(calls[low, "m"][call] for call in shared if calls[high, "m"][call])


@pytest.mark.matrix
def test_models_without_function_calling_go_the_same_way_in_text(program: Program, sweep: Sweep, books: Books) -> None:
    sections = tool_sweep(program, sweep, tasks=10)
    native = program.run(program.write(sections), "--tool-success-rate", "0.8", "--model", "m")
    sections["models"]["m"]["tool_format"] = "text"
    text = program.run(program.write(sections), "--tool-success-rate", "0.8", "--model", "m")
    told, said = ({row["task_id"]: row for row in books.rows(program.path(done))} for done in (native, text))
    for task_id, row in told.items():
        assert [row[name] for name in ("tool_trace", "passed", "turns")] == [
            said[task_id][name] for name in ("tool_trace", "passed", "turns")
        ]
    assert "<tool_response>" in said["t0"]["messages"]
    assert '"role":"tool"' in told["t0"]["messages"]
    assert program("resume", text.run_directory).code == 0


def test_turns_that_are_used_up_are_an_error_class_of_a_scored_answer(
    program: Program, sweep: Sweep, books: Books
) -> None:
    program.write(tool_sweep(program, sweep, tasks=4))
    done = program.run("sweep.yaml", "--set", "tools.max_turns=2", "--model", "m")
    rows = books.rows(program.path(done))
    assert {(row["outcome"], row["error_class"], row["passed"], row["turns"], row["tool_calls"]) for row in rows} == {
        ("ok", "max_turns", False, 2, 2)
    }
    assert {round(row["tool_coverage"], 3) for row in rows} == {0.667}
    assert "max_turns 4" in done.out


def test_the_turns_belong_to_what_a_run_is(program: Program, sweep: Sweep) -> None:
    program.write(tool_sweep(program, sweep, tasks=2))
    done = program.run("sweep.yaml", "--model", "m")
    manifest = json.loads((program.path(done) / "manifest.json").read_bytes())["manifest"]
    assert json.loads(manifest["parts"]["tools"])["max_turns"] == 10
    assert manifest["parts"]["solver"] == "tool_loop"


@pytest.mark.matrix
def test_flawed_prompts_stand_side_by_side(program: Program, sweep: Sweep) -> None:
    program.write(tool_sweep(program, sweep, tasks=3))
    flawed = "optimal,flawed_missing_step,flawed_tool_misuse"
    said = program("plan", "sweep.yaml", "--prompt-types", flawed, "--prompts", "t1")
    assert said.code == 0, said.err
    assert "Task t1 (default)" in said.out
    assert "flawed_missing_step" in said.out
    document = json.loads(program("plan", "sweep.yaml", "--prompt-types", flawed, "--prompts", "each", "--json").out)
    (task,) = document["prompts"]
    assert list(task["prompts"]) == flawed.split(",")
    refused = program("plan", "sweep.yaml", "--prompts", "t99")
    assert refused.err == 'error: --prompts: no task of the sweep has the id "t99"; name another, or write each\n'


def test_prompts_are_shown_as_they_are_sent_also_where_a_model_calls_tools_in_text(
    program: Program, sweep: Sweep, books: Books
) -> None:
    sections = tool_sweep(program, sweep, tasks=1)
    sections["models"]["m"]["tool_format"] = "text"
    program.write(sections)
    plan = ("plan", "sweep.yaml", "--prompts", "t0", "--json")
    (mixed,) = json.loads(program(*plan).out)["prompts"]
    (text,) = json.loads(program(*plan, "--model", "m").out)["prompts"]
    assert sorted(mixed["prompts"]) == ["baseline", "baseline, tools in text"]
    assert mixed["prompts"]["baseline, tools in text"] == text["prompts"]["baseline"]
    assert (len(mixed["tools"]), text["tools"]) == (3, [])
    rows = books.rows(program.path(program.run("sweep.yaml")))
    sent = {row["model"]: json.loads(row["messages"])[: len(text["prompts"]["baseline"])] for row in rows}
    assert sent["m"] == text["prompts"]["baseline"]
    assert "<tool_call>" in sent["m"][0]["content"]


def test_a_flawed_prompt_for_tasks_without_a_plan_is_one_sentence_before_anything_is_made(
    program: Program, sweep: Sweep
) -> None:
    program.write(sweep(program.folder, tasks=3))
    said = program.run("sweep.yaml", "--prompt-types", "flawed_missing_step")
    assert said.code == 2
    assert said.err.startswith(
        "error: tasks.jsonl, line 1: task t1 has no tool plan, which the prompt type flawed_missing_step"
    )
    assert said.err.count("\n") == 1
    assert not (program.folder / "runs").exists()


@pytest.mark.matrix
def test_a_prompt_type_is_added_by_dropping_a_file(program: Program, sweep: Sweep) -> None:
    program.write(tool_sweep(program, sweep, tasks=1))
    (program.folder / "prompts").mkdir()
    (program.folder / "prompts" / "terse.yaml").write_text("user: '{input} Steps: {plan}'\nflaw: missing_step\n")
    said = program("plan", "sweep.yaml", "--prompt-types", "terse", "--prompts", "each", "--json")
    (message,) = json.loads(said.out)["prompts"][0]["prompts"]["terse"]
    assert message["content"].startswith("Book room 0. Steps: 1. ")
    assert program.run("sweep.yaml", "--prompt-types", "terse").code == 0


@pytest.mark.parametrize(
    ("results", "says"),
    [
        ({"tell": {"reslt": 1}}, 'metadata.tool_results.tell: unknown key "reslt"; did you mean "result"'),
        ({"tell": {"function": "mine:tell"}}, "cannot import mine for the tool mine:tell: No module named 'mine'"),
    ],
)
def test_tools_that_cannot_work_are_one_sentence_before_anything_is_made(
    program: Program, sweep: Sweep, results: dict[str, Any], says: str
) -> None:
    program.write(tool_sweep(program, sweep, tasks=1))
    row = json.loads((program.folder / "tasks.jsonl").read_text())
    row["metadata"]["tool_results"] = results
    (program.folder / "tasks.jsonl").write_text(json.dumps(row) + "\n")
    said = program.run("sweep.yaml")
    assert (said.code, said.err.startswith(f"error: tasks.jsonl, line 1, task t0: {says}")) == (2, True), said.err
    assert not (program.folder / "runs").exists()


OWN = """
async def solve(sample, model):
    if sample.task.task_id == "t731" and {fails}:
        raise ValueError("what is a sum?")
    return (await model.chat(sample.task.messages)).text
"""


def test_a_solver_that_raises_on_sample_731_costs_that_sample_and_a_resume(
    program: Program, sweep: Sweep, books: Books
) -> None:
    sections = sweep(program.folder, tasks=800)
    sections["run"] = {"solver": "mine:solve"}
    program.write(sections)
    (program.folder / "mine.py").write_text(OWN.format(fails=True))
    done = program.run("sweep.yaml")
    assert done.code == 3
    sentence = "your own code failed: the solver mine:solve raised ValueError on task t731: what is a sum?"
    assert sentence in done.out + done.err
    path = program.path(done)
    rows = books.rows(path)
    answered = {row["sample_id"]: row["completed_at"] for row in rows if row["outcome"] == "ok"}
    assert [row["task_id"] for row in rows if row["outcome"] == "not_run"] == ["t731"]
    assert len(answered) > 100
    (program.folder / "mine.py").write_text(OWN.format(fails=False))
    refused = program("resume", done.run_directory, "--display", "none", "--no-stagger")
    assert (refused.code, "mine.py has changed" in refused.err, "--changed-code" in refused.err) == (2, True, True)
    resumed = program("resume", done.run_directory, "--changed-code", "--display", "none", "--no-stagger")
    assert resumed.code == 0, resumed.err
    books.require_each_once(path, 800)
    kept = {row["sample_id"]: row["completed_at"] for row in books.rows(path)}
    assert answered.items() <= kept.items()


@pytest.mark.matrix
def test_a_tool_of_ones_own_answers_and_where_it_raises_it_is_named(
    program: Program, sweep: Sweep, books: Books
) -> None:
    program.write(tool_sweep(program, sweep, tasks=2))
    rows = [json.loads(line) for line in (program.folder / "tasks.jsonl").read_text().splitlines()]
    for row in rows:
        row["metadata"]["tool_results"] = {"hotel.find": {"function": "mine:find"}}
    (program.folder / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (program.folder / "mine.py").write_text("def find(arguments):\n    return {'room': 7, 'in': arguments['city']}\n")
    done = program.run("sweep.yaml", "--model", "m")
    assert all('{\\"room\\":7,\\"in\\":\\"Paris\\"}' in row["messages"] for row in books.rows(program.path(done)))
    (program.folder / "mine.py").write_text("def find(arguments):\n    return {'room': arguments['town']}\n")
    refused = program("resume", done.run_directory)
    assert (refused.code, "mine.py has changed" in refused.err, "--changed-code" in refused.err) == (2, True, True)
    broken = program.run("sweep.yaml", "--model", "m")
    assert broken.code == 3
    assert "the tool mine:find raised KeyError on task t" in broken.out + broken.err
