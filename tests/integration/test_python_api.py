"""The library inside a running loop, as in a notebook: results, own solvers and scorers, and how a run stops."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orch
from providers.messages import JSON

if TYPE_CHECKING:
    from benchmarks.fork_server import ForkServer
    from tests.integration.conftest import Books, Program

Sweep = Callable[..., dict[str, Any]]

QUIET: dict[str, JSON] = {"run.display": "none", "run.stagger_s": [0]}


@pytest.fixture(autouse=True)
def _brief_start(forks: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the process of the simulator."""
    monkeypatch.setattr(sys, "executable", str(forks.executable))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the run directories go: the current folder. What is learnt stays in it too."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_a_run_returns_its_results(folder: Path, program: Program, sweep: Sweep, books: Books) -> None:
    run = await orch.run(program.write(sweep(folder)), limit=6, model="m", settings=QUIET)
    books.require_each_once(run.path, 6)
    frame = run.to_pandas()
    assert run.to_arrow().num_rows == len(frame) == 6
    assert frame.groupby(["model", "prompt_type"]).passed.mean().between(0, 1).all()
    assert sum(int(str(row["total"])) for row in run.summary()) == 6
    assert orch.Run.load(run.path).to_arrow().equals(run.to_arrow())


async def test_a_configuration_may_be_a_mapping(folder: Path, sweep: Sweep) -> None:
    run = await orch.run(sweep(folder, tasks=3), settings=QUIET)
    assert run.to_arrow().num_rows == 3


@pytest.mark.matrix
async def test_every_entry_point_tells_of_its_alerts(folder: Path, sweep: Sweep) -> None:
    told: dict[str, list[str]] = {}

    def noting(name: str) -> Callable[[Mapping[str, Any]], None]:
        told[name] = []
        return lambda event: told[name].append(event["event"])

    def in_a_plain_script() -> None:
        path = orch.run_sync(sweep(folder, tasks=2), settings=QUIET, on_event=noting("run_sync")).path
        orch.resume_sync(path, settings=QUIET, on_event=noting("resume_sync"))

    path = (await orch.run(sweep(folder, tasks=2), settings=QUIET, on_event=noting("run"))).path
    await orch.resume(path, settings=QUIET, on_event=noting("resume"))
    await asyncio.to_thread(in_a_plain_script)
    assert {name: events[-1] for name, events in told.items()} == dict.fromkeys(told, "run_finished")


async def test_two_runs_at_once_do_not_disturb_each_other(folder: Path, sweep: Sweep, books: Books) -> None:
    config = sweep(folder, tasks=8)
    first, second = await asyncio.gather(orch.run(config, settings=QUIET), orch.run(config, settings=QUIET))
    assert first.path != second.path
    for run in (first, second):
        books.require_each_once(run.path, 8)


async def test_an_own_solver_has_our_keys_retries_and_records(folder: Path, sweep: Sweep, books: Books) -> None:
    async def twice(sample: orch.Sample, model: orch.ModelClient) -> str:
        await model.chat(sample.task.messages)
        return (await model.chat(sample.task.messages)).text

    run = await orch.run(sweep(folder, tasks=8, faults={"error_500": 0.2}), solver=twice, settings=QUIET)
    rows = books.rows(run.path)
    assert {(row["turns"], row["outcome"]) for row in rows} == {(2, "ok")}
    assert any(row["attempts"] > 2 for row in rows)
    assert {row["request_id"].split("/")[1] for row in rows} == {"2"}
    books.require_truth(run.path)


async def test_a_solver_may_answer_without_a_call(folder: Path, sweep: Sweep, books: Books) -> None:
    async def oracle(sample: orch.Sample, model: orch.ModelClient) -> orch.Answer:
        return orch.Answer(str(sample.task.target))

    run = await orch.run(sweep(folder, tasks=4), solver=oracle, settings=QUIET)
    rows = books.rows(run.path)
    assert {(row["passed"], row["turns"], row["instance"]) for row in rows} == {(True, 0, None)}
    assert books.logged(run.path) == 0


@dataclass
class Clumsy:
    """Fails on some tasks until it is mended."""

    fails_on: set[str] = field(default_factory=lambda: {"t3"})

    async def __call__(self, sample: orch.Sample, model: orch.ModelClient) -> str:
        if sample.task.task_id in self.fails_on:
            raise ValueError("what is a sum?")
        return (await model.chat(sample.task.messages)).text


async def test_an_exception_of_a_solver_stops_the_run_and_a_resume_completes_it(
    folder: Path, sweep: Sweep, books: Books
) -> None:
    solver = Clumsy()
    with pytest.raises(
        orch.RunStopped, match=r"your own code failed: your solver raised ValueError on task t3"
    ) as stop:
        await orch.run(sweep(folder, tasks=10), solver=solver, settings=QUIET)
    path = stop.value.run.path
    (failed,) = [row for row in books.rows(path) if row["outcome"] == "not_run"]
    assert (failed["task_id"], failed["error_class"], failed["passed"], failed["output_text"]) == (
        "t3", "user_code", None, None,
    )  # fmt: skip
    assert "what is a sum?" in failed["error_message"]
    assert int(stop.value.run_outcome.exit_code) == 3
    solver.fails_on.clear()
    await orch.resume(path, solver=solver)
    books.require_each_once(path, 10)


async def test_several_exceptions_may_be_allowed(folder: Path, sweep: Sweep, books: Books) -> None:
    settings: dict[str, JSON] = {**QUIET, "run.max_user_errors": 3}
    run = await orch.run(sweep(folder, tasks=10), solver=Clumsy({"t3", "t4"}), settings=settings)
    assert sorted(row["task_id"] for row in books.rows(run.path) if row["outcome"] == "not_run") == ["t3", "t4"]
    assert len(books.rows(run.path)) == 10


async def test_a_solver_that_returns_no_answer_is_blamed(folder: Path, sweep: Sweep) -> None:
    async def forgetful(sample: orch.Sample, model: orch.ModelClient) -> Any:
        await model.chat(sample.task.messages)

    with pytest.raises(orch.RunStopped, match="your own code failed: your solver "):
        await orch.run(sweep(folder, tasks=3), solver=forgetful, settings=QUIET)


async def generous(sample: orch.Sample, answer: orch.Answer, model: orch.ModelClient) -> orch.Score:
    return orch.Score(0.5, "partial", "generosity")


async def strict(sample: orch.Sample, answer: orch.Answer, model: orch.ModelClient) -> orch.Score:
    raise KeyError("rubric")


async def test_an_own_scorer_wins_over_the_files(folder: Path, sweep: Sweep, books: Books) -> None:
    run = await orch.run(sweep(folder, tasks=4), scorer=generous, settings=QUIET)
    assert {(row["grade"], row["score"], row["passed"], row["score_error"]) for row in books.rows(run.path)} == {
        ("partial", 0.5, False, "generosity")
    }


async def test_an_exception_of_a_scorer_is_told_from_a_bug_of_ours(folder: Path, sweep: Sweep, books: Books) -> None:
    with pytest.raises(orch.RunStopped, match="your scorer raised KeyError on task ") as stop:
        await orch.run(sweep(folder, tasks=6), scorer=strict, settings=QUIET)
    assert {row["outcome"] for row in books.rows(stop.value.run.path)} == {"not_run"}


async def test_results_of_one_solver_or_scorer_are_not_mixed_with_anothers(folder: Path, sweep: Sweep) -> None:
    scored = await orch.run(sweep(folder, tasks=2), scorer=generous, settings=QUIET)
    with pytest.raises(orch.InputError, match=r"scorers was \S+:generous, is numeric"):
        await orch.resume(scored.path)
    with pytest.raises(orch.InputError, match=r"scorers was \S+:generous, is \S+:strict"):
        await orch.resume(scored.path, scorer=strict)
    solved = await orch.run(sweep(folder, tasks=2), solver=Clumsy(set()), settings=QUIET)
    with pytest.raises(orch.InputError, match=r"solver was \S+:Clumsy, is \S+another"):
        await orch.resume(solved.path, solver=another)


async def another(sample: orch.Sample, model: orch.ModelClient) -> str:
    return "2"


async def test_a_run_without_a_usable_instance_says_so(folder: Path, sweep: Sweep, books: Books) -> None:
    keys = {"K0": {"unauthorized_after": 2, "latency": {"ttft_s": 0.01, "itl_s": 0}}}
    with pytest.raises(orch.RunStopped, match="no usable instance left for m: ") as stop:
        await orch.run(sweep(folder, tasks=5, keys=keys), settings={**QUIET, "run.max_workers": 1})
    assert int(stop.value.run_outcome.exit_code) == 4
    assert stop.value.run.to_arrow().num_rows == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"model": ["mm"]}, "no model 'mm'; did you mean"),
        ({"limit": 0}, r"sweep\.limit \(from settings\['sweep\.limit'\]\): "),
        ({"settings": {"run.max_retrys": 1}}, 'unknown key; did you mean "max_retries"'),
        ({"settings": {"run.solver": "nope"}}, r"run\.solver: no solver 'nope'"),
    ],
)
async def test_a_wrong_call_is_one_sentence_and_makes_nothing(
    folder: Path, sweep: Sweep, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(orch.InputError, match=says):
        await orch.run(sweep(folder, tasks=2), **arguments)
    assert not (folder / "runs").exists()


async def test_verbose_logging_is_the_same_from_python(folder: Path, sweep: Sweep, books: Books) -> None:
    run = await orch.run(sweep(folder, tasks=2), settings={**QUIET, "run.debug_log": True})
    text = (run.path / "debug.log").read_text()
    assert all(row["sample_id"] in text for row in books.rows(run.path))


def test_a_plain_script_needs_no_loop(folder: Path, program: Program, sweep: Sweep) -> None:
    program.write(sweep(folder, tasks=3))
    script = folder / "script.py"
    script.write_text(
        "import orchestrator as orch\n"
        "async def solve(sample, model):\n"
        "    return (await model.chat(sample.task.messages)).text\n"
        "if __name__ == '__main__':\n"
        "    run = orch.run_sync('sweep.yaml', solver=solve, settings={'run.display': 'none', 'run.stagger_s': [0]})\n"
        "    again = orch.resume_sync(run.path, solver=solve)\n"
        "    print(again.to_arrow().num_rows, again.manifest.parts['solver'])\n"
    )
    done = subprocess.run([sys.executable, str(script)], cwd=folder, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("3 __main__:solve\n", "")


async def test_the_manifest_holds_what_was_asked_for(folder: Path, sweep: Sweep) -> None:
    run = await orch.run(sweep(folder, tasks=2), limit=1, settings=QUIET)
    document = json.loads((run.path / "manifest.json").read_bytes())["manifest"]
    assert (document["raw"]["sweep"], document["total"], document["run_id"]) == ({"limit": 1}, 1, run.path.name)
    assert document["base"] == str(folder)
