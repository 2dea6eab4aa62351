"""Ctrl-C, SIGTERM and a closed terminal, at every moment of a run: it ends soon, says how to go on, and can be resumed."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

import orchestrator as orch
from benchmarks.crash_matrix.stored_records import final_rows
from benchmarks.crash_matrix.trial import SAMPLES, Blow, Workshop
from providers.messages import JSON

if TYPE_CHECKING:
    from tests.integration.conftest import Books, Done, Process, Program

Sweep = Callable[..., dict[str, Any]]

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
UNHURRIED = {"ttft_s": 0.1, "itl_s": 0.0}
PATIENCE_S = 240.0
LONGER_THAN_PATIENCE_S = 600
NEVER = {"ttft_s": LONGER_THAN_PATIENCE_S, "itl_s": 0.0}
BRISK = ("--no-stagger", "--display", "none")


def unhurried(program: Program, sweep: Sweep, tasks: int = 200) -> None:
    deployments = {name: {"latency": UNHURRIED, "dialect": "azure"} for name in ("m-1", "m-2")}
    program.write(sweep(program.folder, tasks=tasks, deployments=deployments))


def resume_without_limits(program: Program, sweep: Sweep, path: Path, tasks: int) -> None:
    """With a provider that lets everything through."""
    unhurried(program, sweep, tasks)
    assert program("resume", path, "-c", "sweep.yaml", *BRISK).code == 0


def require_resumable(program: Program, books: Books, done: Done, total: int, *more: object) -> None:
    """It said how; doing so completes it. `more` is added to what it said."""
    assert done.code == 130
    (said,) = [line for line in (done.out + done.err).splitlines() if line.startswith("to go on: ")]
    command = said.removeprefix("to go on: python -m orchestrator ").split()
    assert program(*command, *more, *BRISK).code == 0
    books.require_each_once(program.only_run(), total)


def children(process: Process) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


# ------------------------------------------------------------------ from its first moment
@pytest.mark.parametrize("number", STOPPING)
def test_before_the_run_there_is_nothing_to_resume(program: Program, sweep: Sweep, number: int) -> None:
    slow = "import pathlib, time\npathlib.Path('here').touch()\ntime.sleep(600)\n"
    (program.folder / "slow.py").write_text(slow)
    program.write({**sweep(program.folder), "run": {"solver": "slow:solve"}})
    process = program.start("run", "sweep.yaml", *BRISK)
    program.wait_for((program.folder / "here").exists)
    process.send_signal(number)
    done = program.finish(process)
    assert (done.code, done.out, done.err) == (130, "", "interrupted; nothing was sent\n")
    assert not (program.folder / "runs").exists()


@pytest.mark.matrix
@pytest.mark.parametrize("number", STOPPING)
def test_while_the_simulator_starts_nothing_is_waited_for(
    program: Program, sweep: Sweep, books: Books, number: int
) -> None:
    deployments = {name: {"latency": NEVER, "dialect": "azure"} for name in ("m-1", "m-2")}
    program.write(sweep(program.folder, tasks=20, deployments=deployments))
    process = program.start("run", "sweep.yaml", *BRISK, "--set", "run.grace_s=1")  # heard late, it has sent something
    program.wait_for(lambda: bool(children(process)))
    (simulator,) = children(process)
    process.send_signal(number)
    done = program.finish(process)
    assert "0 of 20 samples have a final record: interrupted" in done.out
    assert not simulator.is_running()
    unhurried(program, sweep, 20)
    require_resumable(program, books, done, 20, "-c", "sweep.yaml")


@pytest.mark.matrix
def test_a_shard_that_waits_for_its_start_is_not_waited_for(program: Program, sweep: Sweep, books: Books) -> None:
    unhurried(program, sweep, 20)
    stagger = ("--set", f"run.stagger_s=0,{LONGER_THAN_PATIENCE_S}", "--no-rebalance", "--display", "none")
    process = program.start("run", "sweep.yaml", *stagger)
    path = program.only_run()
    program.wait_for(lambda: books.logged(path) >= 10)
    process.send_signal(signal.SIGINT)
    require_resumable(program, books, program.finish(process), 20)


# ------------------------------------------------------------------ what a drain waits for
@pytest.mark.matrix
@pytest.mark.parametrize("mode", ["adaptive", "fixed"])
def test_what_is_throttled_is_not_waited_for(program: Program, sweep: Sweep, books: Books, mode: str) -> None:
    """One request a minute passes; all others have been refused, or have never been sent."""
    shut = {"rpm": 1.0, "window_s": 60.0, "retry_after": "window", "latency": UNHURRIED, "dialect": "azure"}
    program.write(sweep(program.folder, tasks=40, deployments={"m-1": shut, "m-2": shut}))
    grace = ("--set", f"run.grace_s={LONGER_THAN_PATIENCE_S}", "--rate-mode", mode)
    process = program.start("run", "sweep.yaml", *BRISK, *grace)
    path = program.only_run()
    program.wait_for(lambda: books.logged(path) >= 4)
    process.terminate()
    done = program.finish(process)
    assert "2 of 40 samples have a final record: interrupted" in done.out
    assert done.err.startswith(f"stopping: requests in flight may finish within {LONGER_THAN_PATIENCE_S} s; ")
    unhurried(program, sweep, 40)
    resumed = program("resume", path, "-c", "sweep.yaml", *BRISK)
    assert resumed.code == 0
    assert "billed twice" not in resumed.out
    books.require_each_once(path, 40)


def test_what_would_be_tried_again_is_not_waited_for(program: Program, sweep: Sweep, books: Books) -> None:
    faults = {"error_500": 1.0}
    program.write(sweep(program.folder, tasks=10, faults=faults))
    grace = ("--set", f"run.grace_s={LONGER_THAN_PATIENCE_S}", "--max-retries", 1000)
    process = program.start("run", "sweep.yaml", *BRISK, *grace)
    path = program.only_run()
    program.wait_for(lambda: books.logged(path) >= 10)
    process.terminate()
    done = program.finish(process)
    assert done.code == 130
    assert "0 of 10 samples have a final record: interrupted" in done.out


# ------------------------------------------------------------------ while it is written
@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with Workshop(tmp_path_factory.mktemp("workshop")) as found:
        yield found


PRESSES = ((signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGINT, 3), (signal.SIGTERM, 2))
SAMPLED = {("part: rename", signal.SIGINT, 2), ("summary: rename", signal.SIGTERM, 2)}
WRITES = [
    pytest.param(
        operation, number, presses, marks=() if (operation, number, presses) in SAMPLED else pytest.mark.matrix
    )
    for operation in ("part: rename", "unresolved.log: rename", "summary: rename")
    for number, presses in PRESSES
]


@pytest.mark.parametrize(("operation", "number", "presses"), WRITES)
def test_signals_while_results_are_written_cost_nothing(
    workshop: Workshop, operation: str, number: int, presses: int
) -> None:
    bench = workshop.bench(f"{operation.split(':')[0]}-{number}-{presses}")
    watch = {"operation": operation, "when": "before", "number": 1, "signals": [number] * presses}
    bench.execute(Blow(operation, watch, number), *bench.command("run", "parquet"))
    assert bench.complaints == []
    assert bench.execute(Blow("none"), *bench.command("resume", "parquet")) == 0
    assert Counter(row["ordinal"] for row in final_rows(bench.run())) == Counter(range(SAMPLES))


# ------------------------------------------------------------------ at a terminal
class Terminal:
    """A person's: what runs in it is the leader of its session, as a shell's command is where the shell has made way for it."""

    def __init__(self, program: Program, *arguments: object) -> None:
        self._keyboard, screen = pty.openpty()
        os.set_blocking(self._keyboard, False)
        lead = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, sys.argv[1:])"
        command = [sys.executable, "-m", "orchestrator", *map(str, arguments)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", lead, *command],
            cwd=program.folder,
            env={**os.environ, "XDG_STATE_HOME": str(program.folder / "state")},
            stdin=screen,
            stdout=screen,
            stderr=screen,
            start_new_session=True,
        )
        os.close(screen)
        self.shown = b""

    def look(self) -> None:
        try:
            while seen := os.read(self._keyboard, 65536):
                self.shown += seen
        except OSError:
            return

    def press_ctrl_c(self) -> None:
        os.write(self._keyboard, b"\x03")

    def shut(self) -> None:
        if self._keyboard >= 0:
            os.close(self._keyboard)
            self._keyboard = -1

    def close(self) -> None:
        self.shut()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def terminal(program: Program, open_ended: Sweep) -> Iterator[Terminal]:
    program.write(open_ended(program.folder, tasks=200))
    notify = program.folder / "notify.sh"
    notify.write_text("#!/bin/sh\ncat >> alerts\n")
    notify.chmod(0o755)
    flags = ("--no-stagger", "--max-workers", 4, "--display", "full", "--notify", notify)
    with closing(Terminal(program, "run", "sweep.yaml", *flags)) as found:
        yield found


def under_way(program: Program, books: Books, terminal: Terminal) -> Path:
    path = program.only_run()

    def has_answers() -> bool:
        terminal.look()
        return books.logged(path) >= 20

    program.wait_for(has_answers)
    return path


def ended(program: Program, terminal: Terminal) -> int:
    def is_over() -> bool:
        terminal.look()
        return terminal.process.poll() is not None

    program.wait_for(is_over)
    return terminal.process.wait()


@pytest.mark.matrix
def test_a_real_ctrl_c_reaches_neither_the_simulator_nor_the_notify_command(
    program: Program, sweep: Sweep, books: Books, terminal: Terminal
) -> None:
    path = under_way(program, books, terminal)
    terminal.press_ctrl_c()
    assert ended(program, terminal) == 130
    terminal.look()
    assert b"to go on: python -m orchestrator resume " in terminal.shown.replace(b"\r\n", b"")
    sent = {line["sample_id"] for line in books.log(path) if line["status"] == 200}
    assert {row["sample_id"] for row in books.rows(path) if row["outcome"] == "ok"} == sent
    assert b"run_finished" in (program.folder / "alerts").read_bytes()
    resume_without_limits(program, sweep, path, 200)
    books.require_each_once(path, 200)


@pytest.mark.matrix
def test_a_terminal_that_is_closed_drains_the_run(
    program: Program, sweep: Sweep, books: Books, terminal: Terminal
) -> None:
    path = under_way(program, books, terminal)
    terminal.shut()
    assert terminal.process.wait(PATIENCE_S) == 130
    assert 0 < len(final_rows(path)) < 200
    assert (path / "summary.json").exists()
    resume_without_limits(program, sweep, path, 200)
    books.require_each_once(path, 200)


def test_a_program_that_is_killed_leaves_no_simulator_behind(program: Program, open_ended: Sweep, books: Books) -> None:
    program.write(open_ended(program.folder, tasks=200))
    process = program.start("run", "sweep.yaml", *BRISK)
    path = program.only_run()
    program.wait_for(lambda: books.logged(path) >= 20)
    left = children(process)
    assert len(left) == 1
    process.kill()
    process.wait()
    gone, alive = psutil.wait_procs(left, timeout=PATIENCE_S)
    assert (len(gone), alive) == (1, [])


# ------------------------------------------------------------------ in a notebook
@pytest.mark.matrix
@pytest.mark.parametrize("cancels", [1, 3])
async def test_a_run_that_is_awaited_and_cancelled_can_be_resumed_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: Program,
    sweep: Sweep,
    open_ended: Sweep,
    books: Books,
    cancels: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    program.write(open_ended(program.folder, tasks=100))
    settings: dict[str, JSON] = {"run.display": "none", "run.stagger_s": [0], "run.max_workers": 4}
    running = asyncio.create_task(orch.run(tmp_path / "sweep.yaml", settings=settings))
    await asyncio.to_thread(program.wait_for, lambda: books.logged(program.only_run()) >= 20)
    path = program.only_run()
    for _ in range(cancels):
        running.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert 0 < len(final_rows(path)) < 100
    assert program("resume", path, "-c", program.write(sweep(tmp_path, tasks=100), "well.yaml"), *BRISK).code == 0
    books.require_each_once(path, 100)


BLOCKING = """
import pathlib

async def score(sample, answer, model):
    pathlib.Path("blocked").touch()
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
"""


def test_the_third_signal_ends_a_scorer_that_blocks_and_catches_everything(program: Program, sweep: Sweep) -> None:
    (program.folder / "blocking_scorer.py").write_text(BLOCKING)
    sections = sweep(program.folder, tasks=2)
    program.write({**sections, "tasks": [{"path": "tasks.jsonl", "scorer": "blocking_scorer:score"}]})
    process = program.start("run", "sweep.yaml", *BRISK)
    program.wait_for((program.folder / "blocked").exists)

    def has_ended() -> bool:
        """Signals of one number that wait together count once, so send them until it has ended."""
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        return process.poll() is not None

    program.wait_for(has_ended)
    assert process.returncode == 130
