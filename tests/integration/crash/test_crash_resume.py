"""Whatever ends a run, a resume completes it: every sample has one record, and nothing that is done is done again."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Books, Program
    from tests.integration.forked_command import ForkedCommand

Sweep = Callable[..., dict[str, Any]]

UNHURRIED = {"ttft_s": 0.1, "itl_s": 0.0}
NEVER = {"ttft_s": 280.0, "itl_s": 0.0}
"""Longer than a test takes, and shorter than the timeout of an attempt."""
NOW = "stopping now: finished samples are being written; press Ctrl-C again to exit without waiting for that\n"
BRISK = ("--no-stagger", "--display", "none")


def start(program: Program, *flags: object) -> ForkedCommand:
    return program.start("run", "sweep.yaml", *BRISK, *flags)


def interrupt(process: ForkedCommand) -> None:
    """Ctrl-C, and wait until it has been heard."""
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert any(
        line.startswith("stopping: requests in flight may finish within ") for line in process.stderr
    )  # up to it


HOLDING = """
import asyncio, pathlib

async def solve(sample, model):
    answer = (await model.chat(sample.task.messages)).text
    while sample.cell.tool_success_rate == {rate} and not pathlib.Path("released").exists():
        await asyncio.sleep(0.02)
    return answer
"""


def holding(program: Program, sweep: Sweep, tasks: int, rate: float = 1) -> None:
    """A sweep whose samples of this tool success rate are answered, and end only once they are released."""
    (program.folder / "mine.py").write_text(HOLDING.format(rate=rate))
    program.write({**sweep(program.folder, tasks=tasks), "run": {"solver": "mine:solve"}})


def release(program: Program) -> None:
    (program.folder / "released").touch()


def resume_without_limits(program: Program, sweep: Sweep, path: Path, tasks: int) -> None:
    """With a provider that lets everything through."""
    program.write(sweep(program.folder, tasks=tasks))
    assert program("resume", path, "-c", "sweep.yaml", *BRISK).code == 0


def answered(books: Books, path: Path) -> Counter[str]:
    """Samples by how often they were answered, over all executions."""
    return Counter(line["sample_id"] for line in books.log(path) if line["status"] == 200)


@pytest.mark.parametrize("form", ["parquet", "json"])
def test_a_killed_run_is_completed_by_a_resume(
    program: Program, sweep: Sweep, open_ended: Sweep, books: Books, form: str
) -> None:
    program.write(open_ended(program.folder, tasks=200))
    process = start(program, "--max-workers", 8, "--set", f"run.storage_format={form}")
    path = program.only_run()
    program.wait_for(lambda: books.logged(path) >= 60)
    process.kill()
    process.wait()
    before = json.loads(program("status", path, "--json").out)
    assert 0 < before["final"] < 200
    program.write(sweep(program.folder, tasks=200))
    done = program("resume", path, "-c", "sweep.yaml", *BRISK)
    assert done.code == 0
    assert "200 of 200 samples have a final record" in done.out
    assert "possibly billed twice: " in done.out
    books.require_each_once(path, 200)
    books.require_truth(path)
    again = sum(count - 1 for count in answered(books, path).values())
    assert again <= 200 - before["final"]


@pytest.mark.matrix
def test_a_resume_of_a_killed_resume_is_no_different(
    program: Program, sweep: Sweep, open_ended: Sweep, books: Books
) -> None:
    program.write(open_ended(program.folder, tasks=200))
    first = start(program, "--max-workers", 4)
    path = program.only_run()
    program.wait_for(lambda: books.logged(path) >= 30)
    first.kill()
    first.wait()
    second = program.start("resume", path, *BRISK)
    program.wait_for(lambda: books.logged(path) >= 70)
    second.kill()
    second.wait()
    resume_without_limits(program, sweep, path, 200)
    books.require_each_once(path, 200)


def test_the_first_ctrl_c_finishes_what_is_in_flight(
    program: Program, sweep: Sweep, open_ended: Sweep, books: Books
) -> None:
    program.write(open_ended(program.folder, tasks=200))
    process = start(program, "--max-workers", 4)
    path = program.only_run()
    program.wait_for(lambda: books.logged(path) >= 20)
    interrupt(process)
    done = program.finish(process)
    assert done.code == 130
    assert "samples have a final record: interrupted" in done.out
    assert f"to go on: python -m orchestrator resume {done.run_directory}" in done.out
    sent = answered(books, path)
    assert {row["sample_id"] for row in books.rows(path)} == set(sent)
    assert 0 < len(sent) < 200
    resume_without_limits(program, sweep, path, 200)
    books.require_each_once(path, 200)
    assert set(answered(books, path).values()) == {1}


@pytest.mark.matrix
def test_a_drained_run_that_is_resumed_twice_sends_nothing_more(program: Program, sweep: Sweep, books: Books) -> None:
    program.write(sweep(program.folder))
    path = program.path(program.run("sweep.yaml"))
    lines = books.logged(path)
    done = program("resume", path, *BRISK)
    assert done.code == 0
    assert "20 of 20 samples have a final record" in done.out
    assert books.logged(path) == lines
    books.require_each_once(path, 20)


def two_models(program: Program, sweep: Sweep, second: dict[str, float]) -> None:
    """Ten tasks each; the second model's latency is given."""
    deployments = {"m-1": {"latency": UNHURRIED}, "m-2": {"latency": second}}
    models = {name: {"provider": "sim", "deployments": [name]} for name in deployments}
    program.write({**sweep(program.folder, tasks=10, deployments=deployments), "models": models})


def stuck(program: Program, sweep: Sweep, books: Books, grace_s: float) -> tuple[ForkedCommand, Path]:
    """A run of which half is done and the other half will not come for a minute."""
    two_models(program, sweep, NEVER)
    process = start(program, "--set", f"run.grace_s={grace_s}")
    path = program.only_run()
    program.wait_for(lambda: books.logged(path) >= 10)
    return process, path


def resume_unstuck(program: Program, sweep: Sweep, books: Books, path: Path) -> None:
    """With the same sweep on a provider that answers."""
    two_models(program, sweep, UNHURRIED)
    done = program("resume", path, "-c", "sweep.yaml", *BRISK)
    assert done.code == 0
    books.require_each_once(path, 20)


def test_the_second_ctrl_c_stops_at_once(program: Program, sweep: Sweep, books: Books) -> None:
    process, path = stuck(program, sweep, books, grace_s=300)
    interrupt(process)
    process.send_signal(signal.SIGINT)
    done = program.finish(process)
    assert (done.code, done.err) == (130, NOW)
    assert "10 of 20 samples have a final record: interrupted" in done.out
    resume_unstuck(program, sweep, books, path)


@pytest.mark.matrix
def test_the_grace_ends_what_one_ctrl_c_leaves_in_flight(program: Program, sweep: Sweep, books: Books) -> None:
    process, path = stuck(program, sweep, books, grace_s=0.3)
    interrupt(process)
    done = program.finish(process)
    assert done.code == 130
    assert "10 of 20 samples have a final record: interrupted" in done.out
    resume_unstuck(program, sweep, books, path)


def test_sigterm_drains_like_ctrl_c(program: Program, open_ended: Sweep, books: Books) -> None:
    program.write(open_ended(program.folder, tasks=100))
    process = start(program, "--max-workers", 2)
    path = program.only_run()
    program.wait_for(lambda: books.logged(path) >= 4)
    process.terminate()
    assert program.finish(process).code == 130
    assert {row["outcome"] for row in books.rows(path)} == {"ok"}


@pytest.mark.matrix
def test_ctrl_c_in_a_later_stage_is_heard_like_in_the_first(program: Program, sweep: Sweep, books: Books) -> None:
    holding(program, sweep, 100, rate=0.5)
    process = start(program, "--max-workers", 4, "--tool-success-rate", "1,0.5")
    path = program.only_run()
    program.wait_for(lambda: books.logged(path) > 100)
    interrupt(process)
    release(program)
    assert program.finish(process).code == 130
    assert 100 < len(books.rows(path)) < 200
    assert program("resume", path, *BRISK).code == 0
    books.require_each_once(path, 200)


def test_a_run_that_is_going_on_cannot_be_resumed_by_another_process(
    program: Program, sweep: Sweep, books: Books
) -> None:
    holding(program, sweep, 20)
    process = start(program, "--max-workers", 2)
    path = program.only_run()
    program.wait_for(lambda: books.logged(path) >= 2)
    other = program("resume", path, *BRISK)
    assert (other.code, other.out) == (2, "")
    assert other.err == f"error: {path} is being run by another process; wait for its end or stop it\n"
    release(program)
    assert program.finish(process).code == 0
    books.require_each_once(path, 20)
    assert set(answered(books, path).values()) == {1}


# ------------------------------------------------------------------ what a resume may change
def unfinished(program: Program, sweep: Sweep) -> Path:
    """A run that lacks some samples, because its faults were too many."""
    program.write(sweep(program.folder, tasks=20, faults={"error_500": 0.5}))
    done = program.run("sweep.yaml", "--max-retries", 0)
    assert done.code == 1
    return program.path(done)


@pytest.mark.matrix
def test_a_resume_with_another_configuration_is_refused(program: Program, sweep: Sweep, books: Books) -> None:
    path = unfinished(program, sweep)
    before = books.rows(path)
    changed = {"sweep.limit=10": "limit was all, is 10", "generation.temperature=1": "generation was "}
    changed |= {"run.seed=5": "seed was 0, is 5", "sweep.prompt_types=cot": "prompt_types was baseline ("}
    for flag, difference in changed.items():
        done = program("resume", path, "--set", flag)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith(f"error: {path.name} holds results of another configuration (")
        assert difference in done.err
        assert done.err.count("\n") == 1
    assert books.rows(path) == before


@pytest.mark.matrix
def test_a_resume_on_changed_tasks_is_refused(program: Program, sweep: Sweep) -> None:
    path = unfinished(program, sweep)
    with (program.folder / "tasks.jsonl").open("a") as file:
        file.write('{"id": "new", "question": "?", "answer": 1}\n')
    done = program("resume", path)
    assert done.code == 2
    assert "task_count was 20, is 21" in done.err


@pytest.mark.matrix
def test_a_resume_may_change_workers_rates_and_keys(program: Program, sweep: Sweep, books: Books) -> None:
    path = unfinished(program, sweep)
    done = {row["sample_id"] for row in books.rows(path) if row["outcome"] == "ok"}
    sections = sweep(program.folder, tasks=20, keys={"K0": {}, "K1": {}, "K2": {}})
    sections["models"]["m"]["workers"] = 2
    program.write(sections, "other.yaml")
    ended = program("resume", path, "-c", "other.yaml", "--rate-mode", "fixed", *BRISK)
    assert ended.code == 0
    books.require_each_once(path, 20)
    rows = books.rows(path)
    assert {row["instance"].split("/")[1] for row in rows if row["sample_id"] not in done} == {"K0", "K1", "K2"}
    assert {row["instance"] for row in rows if row["sample_id"] in done} <= {"sim/m-1", "sim/m-2"}
