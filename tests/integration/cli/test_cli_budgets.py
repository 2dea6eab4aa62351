"""Limits on tokens, cost and time: the run stops with its reason, can be resumed, and never spends more than it was allowed."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

import orchestrator as orch
from orchestrator.api import stored_config
from orchestrator.config.environment import read_environment
from orchestrator.execution.context import RunHooks
from orchestrator.execution.execute import execute
from orchestrator.execution.history.outcome import INTERRUPTED, ExitCode
from orchestrator.execution.prepare import prepare
from orchestrator.results.run_directory.directory import RunDirectory
from providers.messages import JSON
from runners.event_loop.shutdown import Shutdown
from runners.journal.spending_log import SpendingLog
from tests.integration.conftest import write_tasks

if TYPE_CHECKING:
    from tests.integration.conftest import Books, Program

Sweep = Callable[..., dict[str, Any]]

UNHURRIED = {"ttft_s": 0.05, "itl_s": 0.0}
BRISK = ("--no-stagger", "--display", "none")
PRICES = {"m": {"input_per_million": 1000.0, "output_per_million": 2000.0}}


def unhurried(program: Program, sweep: Sweep, tasks: int, **more: Any) -> None:
    deployments = {name: {"latency": UNHURRIED, "dialect": "azure"} for name in ("m-1", "m-2")}
    sections = sweep(program.folder, tasks=tasks, deployments=deployments, faults=more.pop("faults", {}))
    program.write({**sections, **more})


def billed_tokens(books: Books, path: Path) -> int:
    """As the server counts, over all executions."""
    return sum(line["tokens"] for line in books.log(path))


def spent(path: Path) -> dict[str, Any]:
    """As the last execution noted."""
    line: dict[str, Any] = json.loads((path / "executions.jsonl").read_text().splitlines()[-1])
    return line


@pytest.mark.matrix
@pytest.mark.parametrize("form", ["parquet", "json"])
def test_a_token_limit_stops_the_run_and_a_higher_one_lets_it_go_on(
    program: Program, sweep: Sweep, books: Books, form: str
) -> None:
    unhurried(program, sweep, 200)
    done = program.run("sweep.yaml", "--token-limit", 1000, "--set", f"run.storage_format={form}")
    path = program.path(done)
    assert done.code == 3
    assert "the token limit is reached: " in done.out
    assert "of 1,000 tokens are spent, and the next request may take " in done.out
    assert done.err == f"the token limit is near: {near(path)}\n"
    assert f"to go on: python -m orchestrator resume {done.run_directory}" in done.out
    assert 900 <= billed_tokens(books, path) == spent(path)["spent_tokens"] <= 1000
    again = program("resume", path, "-c", "sweep.yaml", *BRISK, "--token-limit", 1000)
    assert f"to go on: python -m orchestrator resume {path} -c sweep.yaml\n" in again.out
    assert (again.code, billed_tokens(books, path)) == (3, spent(path)["spent_tokens"])
    more = program("resume", path, *BRISK, "--token-limit", 1_000_000)
    assert more.code == 0
    assert f"spent: {spent(path)['spent_tokens']:,} of 1,000,000 tokens" in more.out
    assert billed_tokens(books, path) == spent(path)["spent_tokens"] > 1000
    books.require_each_once(path, 200)


def near(path: Path) -> str:
    decisions = [json.loads(line) for line in (path / "decisions.jsonl").read_text().splitlines()]
    (evidence,) = [line["evidence"] for line in decisions if line["event"] == "budget_near"]
    return str(evidence)


def test_a_cost_limit_stops_the_run_before_it_is_passed(program: Program, sweep: Sweep, books: Books) -> None:
    unhurried(program, sweep, 200, prices=PRICES)
    done = program.run("sweep.yaml", "--cost-limit", 1.5)
    path = program.path(done)
    assert done.code == 3
    assert "the cost limit is reached: " in done.out
    assert "of 1.5 USD are spent" in done.out
    records = sum(row["cost_usd"] for row in books.rows(path))
    assert records == pytest.approx(spent(path)["spent_usd"])
    assert 1.2 <= records <= 1.5
    assert program("resume", path, *BRISK, "--cost-limit", 100).code == 0
    books.require_each_once(path, 200)


def test_a_cost_limit_needs_a_price(program: Program, sweep: Sweep) -> None:
    program.write(sweep(program.folder))
    done = program("run", "sweep.yaml", "--cost-limit", 1)
    assert done.code == 2
    assert done.err == (
        "error: run.cost_limit_usd is set, but nobody knows what m costs: "
        "add it to `prices:` in the file (input_per_million, output_per_million)\n"
    )
    assert not (program.folder / "runs").exists()


@pytest.mark.matrix
def test_a_time_limit_counts_for_each_execution(program: Program, sweep: Sweep, books: Books) -> None:
    unhurried(program, sweep, 150)
    done = program.run("sweep.yaml", "--time-limit", "0m 1s", "--max-workers", 2)
    path = program.path(done)
    assert done.code == 3
    assert "the time limit is reached: 1 s since this execution began to send" in done.out
    assert 0 < spent(path)["final"] < 150
    assert f"spent over all executions: {spent(path)['spent_tokens']:,} tokens\n" in done.out
    assert {row["outcome"] for row in books.rows(path)} == {"ok"}
    assert program("resume", path, *BRISK, "--time-limit", "10m").code == 0
    books.require_each_once(path, 150)


@pytest.mark.matrix
def test_what_a_killed_execution_spent_counts_for_the_next(program: Program, sweep: Sweep, books: Books) -> None:
    unhurried(program, sweep, 200)
    process = program.start("run", "sweep.yaml", *BRISK, "--max-workers", 4, "--token-limit", 1200)
    path = program.only_run()
    program.wait_for(lambda: books.logged(path) >= 60)
    process.kill()
    process.wait()
    done = program("resume", path, *BRISK)
    assert done.code == 3
    recorded = sum(row["input_tokens"] + row["output_tokens"] for row in books.rows(path))
    assert recorded + spent(path)["presumed_tokens"] == spent(path)["spent_tokens"] <= 1200
    assert billed_tokens(books, path) <= spent(path)["spent_tokens"]
    assert 0 < spent(path)["presumed_tokens"] <= 9 * 100, "eight requests in flight, and a block of the limit"
    assert (
        "of them are possibly billed: killed executions had reserved them), and the next request may take " in done.out
    )
    more = program("resume", path, *BRISK, "--token-limit", 1_000_000)
    assert more.code == 0
    assert (
        f"possibly billed: {spent(path)['presumed_tokens']:,} tokens were reserved by executions that were killed"
        in more.out
    )
    books.require_each_once(path, 200)


# ------------------------------------------------------------------ over kills
def silent_sweep(program: Program, port: int) -> None:
    """A model that never answers, on two instances."""
    write_tasks(program.folder, 500)
    url = f"http://127.0.0.1:{port}/v1"
    program.variables["PLANTED"] = "k"
    program.write(
        {
            "providers": {name: {"type": "openai", "base_url": url, "api_key_env": "PLANTED"} for name in "ab"},
            "models": {"m": {"routes": [{"provider": name, "deployments": ["m"]} for name in "ab"]}},
            "tasks": [{"path": "tasks.jsonl", "scorer": "numeric"}],
            "generation": {"max_tokens": 40},
            "run": {"rate_mode": "fixed"},
        }
    )


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.matrix)])
def test_requests_that_were_sent_and_never_answered_stay_counted_over_any_number_of_kills(
    program: Program, kills: int
) -> None:
    with SilentServer() as server:
        silent_sweep(program, server.port)
        command: tuple[object, ...] = ("run", "sweep.yaml", "--token-limit", 3000)
        for _ in range(kills):
            asked = server.asked
            process = program.start(*command, *BRISK, "--max-workers", 4)
            program.wait_for(lambda: server.asked > asked or process.poll() is not None)  # noqa: B023
            process.kill()
            process.wait()
            command = ("resume", program.only_run(), "--token-limit", 3000)
        done = program(*command, *BRISK, "--max-workers", 4, "--time-limit", 1, "--set", "run.grace_s=0")
    path = program.only_run()
    assert done.code == 3
    assert server.asked * 47 <= spent(path)["spent_tokens"] <= 3000, "40 for the answer and at least 7 for the question"
    if kills == 10:
        assert "limit is reached" in done.out, (
            "of tokens, or of time where requests in flight may still give tokens back"
        )
        assert f"possibly billed: {spent(path)['presumed_tokens']:,} tokens" in done.out


@pytest.mark.matrix
def test_a_clock_that_was_set_back_lets_no_execution_forget_what_was_spent(
    program: Program, sweep: Sweep, books: Books
) -> None:
    unhurried(program, sweep, 600)
    path = program.path(program.run("sweep.yaml", "--token-limit", 1500))
    set_clock_back(path)
    for _ in range(2):
        answers = books.logged(path)
        process = program.start("resume", path, *BRISK, "--max-workers", 4, "--token-limit", 4000)
        program.wait_for(lambda: books.logged(path) >= answers + 100 or process.poll() is not None)  # noqa: B023
        process.kill()
        process.wait()
    done = program("resume", path, *BRISK, "--max-workers", 4, "--token-limit", 4000)
    assert done.code == 3
    assert billed_tokens(books, path) <= spent(path)["spent_tokens"] <= 4000
    before = spent(path)["spent_tokens"]
    set_clock_back(path)
    assert program("resume", path, *BRISK, "--token-limit", 4000).code == 3
    assert spent(path)["spent_tokens"] <= min(before + 100, 4000), "nothing is counted again"


def set_clock_back(path: Path) -> None:
    """As the files look on a machine whose clock is two hours behind: the executions so far ended in its future."""
    file = path / "executions.jsonl"
    notes = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps({**note, "ended_at": note["ended_at"] + 7200}) + "\n" for note in notes))


class SilentServer(socketserver.ThreadingTCPServer):
    """Takes every request and answers none."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        self.asked = 0
        self._counting = threading.Lock()
        super().__init__(("127.0.0.1", 0), _SilentHandler)
        self.port = int(self.server_address[1])
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})

    def count(self, requests: int) -> None:
        with self._counting:
            self.asked += requests

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _SilentHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, SilentServer)
        with suppress(OSError):
            while piece := self.request.recv(65536):
                self.server.count(piece.count(b"POST /v1/"))


def test_a_sample_timeout_bounds_a_sample_with_all_its_retries(program: Program, sweep: Sweep, books: Books) -> None:
    unhurried(program, sweep, 4, faults={"error_500": 1.0})
    done = program.run("sweep.yaml", "--sample-timeout", 0.5, "--max-retries", 1000)
    assert done.code == 1
    rows = books.rows(program.path(done))
    assert [row["outcome"] for row in rows] == ["infra_failure"] * 4
    assert all("the sample's deadline came" in row["error_message"] for row in rows)


@pytest.mark.matrix
def test_a_spent_retry_budget_is_said_in_records_decisions_and_at_the_end(
    program: Program, sweep: Sweep, books: Books
) -> None:
    unhurried(program, sweep, 700, faults={"error_500": 0.6})
    done = program.run("sweep.yaml", "--set", "run.retry_budget=0", "--max-retries", 20)
    path = program.path(done)
    assert done.code == 1
    refused = spent(path)["retries_refused"]
    assert refused > 0
    assert f"the run's retry budget was used up: {refused} failures were not tried again" in done.out
    given_up = [row for row in books.rows(path) if "retry budget is used up" in (row["error_message"] or "")]
    assert len(given_up) == refused
    assert sum(row["attempts"] - 1 for row in books.rows(path)) == 500
    decisions = [json.loads(line)["event"] for line in (path / "decisions.jsonl").read_text().splitlines()]
    assert decisions.count("retry_budget_spent") == 1


def test_requests_that_bring_no_word_on_usage_are_counted(program: Program, sweep: Sweep, books: Books) -> None:
    sections = sweep(program.folder, tasks=4)
    for deployment in sections["providers"]["sim"]["deployments"].values():
        deployment["latency"] = {"ttft_s": 60.0, "itl_s": 0.0}
    program.write(sections)
    done = program.run("sweep.yaml", "--attempt-timeout", 0.2, "--max-retries", 1)
    assert done.code == 1
    assert {row["error_class"] for row in books.rows(program.path(done))} == {"timeout_attempt"}
    assert spent(program.path(done))["unanswered"] == 8
    assert "possibly billed without a record: 8 requests were sent and their usage is unknown" in done.out


async def test_every_call_of_a_sample_counts_also_where_the_sample_is_stopped_midway(
    tmp_path: Path, sweep: Sweep, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    events: list[dict[str, Any]] = []

    async def solve(sample: orch.Sample, model: orch.ModelClient) -> str:
        for _ in range(3):
            reply = await model.chat(sample.task.messages)
        return reply.text

    async def judge(sample: orch.Sample, answer: orch.Answer, model: orch.ModelClient) -> orch.Score:
        await model.chat(sample.task.messages, max_tokens=64)
        return orch.Score(1.0, "full")

    quiet: dict[str, JSON] = {"run.display": "none", "run.stagger_s": [0]}
    with pytest.raises(orch.RunStopped, match="the token limit is reached") as stopped:
        await orch.run(
            sweep(tmp_path, tasks=60),
            solver=solve,
            scorer=judge,
            settings={**quiet, "run.token_limit": 1500, "run.max_workers": 5},
            on_event=lambda event: events.append(dict(event)),
        )
    path = stopped.value.run.path
    assert billed_tokens(books, path) == spent(path)["spent_tokens"] <= 1500
    assert [event["budget"] for event in events if event["event"] == "budget_near"] == ["token"]
    run = await orch.resume(path, solver=solve, scorer=judge, settings={"run.token_limit": 100_000})
    assert billed_tokens(books, path) == spent(path)["spent_tokens"]
    records = sum(row["input_tokens"] + row["output_tokens"] for row in books.rows(run.path))
    assert records <= spent(path)["spent_tokens"], "samples that were stopped midway began anew"
    books.require_each_once(path, 60)


@pytest.mark.matrix
async def test_a_resume_that_is_interrupted_while_it_opens_forgets_nothing_that_was_spent(
    program: Program, sweep: Sweep, books: Books
) -> None:
    unhurried(program, sweep, 200)
    path = program.path(program.run("sweep.yaml", "--token-limit", 1000))
    directory, environment, shutdown = RunDirectory(path), read_environment(), Shutdown()
    before = SpendingLog(directory.journal).settled
    prepared = prepare(stored_config(directory, environment), environment.key)
    shutdown.request(INTERRUPTED)
    with closing(prepared.sweep.tasks):
        run_outcome = await execute(prepared, directory, environment, RunHooks(shutdown))
    assert (run_outcome.exit_code, run_outcome.spent) == (ExitCode.INTERRUPTED, before)
    assert spent(path)["spent_tokens"] == before.tokens == billed_tokens(books, path)
    assert SpendingLog(directory.journal).settled == before
