"""A run that stands still says what every open sample waits for, and a loop that is blocked says by which line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Books, Program

Sweep = Callable[..., dict[str, Any]]

OWN_CODE = """
import asyncio, time

async def solve(sample, model):
    answer = (await model.chat(sample.task.messages)).text
    if sample.task.task_id == "t1":
        await asyncio.Event().wait()
    if sample.task.task_id == "t2":
        time.sleep(6)
    return answer
"""


@pytest.mark.matrix
def test_a_run_whose_own_code_hangs_or_blocks_says_where_and_ends(program: Program, sweep: Sweep, books: Books) -> None:
    (program.folder / "mine.py").write_text(OWN_CODE)
    run = {"solver": "mine:solve", "stall_after_s": 1, "sample_timeout_s": 30, "max_user_errors": 2}
    program.write({**sweep(program.folder, tasks=6), "run": run})
    started = program.start("run", "sweep.yaml", "--no-stagger", "--display", "plain")
    program.wait_for(lambda: bool(stalls(program)))
    said = program("status", program.only_run())
    done = program.finish(started)
    assert said.out.count(" in the solver's own code, for up to ") == 1
    assert f"the event loop has been blocked for 5 s at {program.folder / 'mine.py'}:9 (task t2)" in done.err
    assert "1 sample in the solver's own code, for up to " in done.err
    assert done.code == 1
    (hung,) = [row for row in books.rows(program.path(done)) if row["outcome"] != "ok"]
    assert (hung["task_id"], hung["outcome"], hung["error_class"]) == ("t1", "not_run", "user_code")
    assert "run.sample_timeout_s" in hung["error_message"]
    assert "no sample had ended" not in program("status", done.run_directory).out


def stalls(program: Program) -> list[dict[str, Any]]:
    lines = [line for path in program.folder.glob("runs/*/decisions.jsonl") for line in path.read_bytes().splitlines()]
    return [found for line in lines if (found := json.loads(line))["event"] == "run_stalled" and found["waits"]]
