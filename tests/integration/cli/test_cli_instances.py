"""Instances that are wrong, dead or revoked: what doctor says beforehand, and what a run does when it meets one."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Books, Program, Provider

Sweep = Callable[..., dict[str, Any]]

FAST = {"ttft_s": 0.01, "itl_s": 0.0}


# ------------------------------------------------------------------ doctor
@pytest.fixture
def dead_url() -> str:
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


@pytest.fixture
def clinic(program: Program, sweep: Sweep, provider: Provider, dead_url: str) -> Program:
    """Two good deployments and one that is not there, a good key and a wrong one, a port at which nobody listens."""
    sections = sweep(program.folder)
    sections["providers"] = {
        **provider.settings(),
        "bad": {"type": "gateway", "base_url": f"{provider.url}/v1", "api_key_envs": ["WRONG_KEY"]},
        "dead": {"type": "openai", "base_url": dead_url},
    }
    sections["models"] = {
        "good": {"routes": [{"provider": "east", "deployments": ["m-1", "m-2"]}, {"provider": "gate"}]},
        "missing": {"provider": "east", "deployments": ["m-9"]},
        "wrong": {"provider": "bad"},
        "dead": {"provider": "dead"},
    }
    program.write(sections)
    program.variables = {**provider.secrets, "WRONG_KEY": "wrong-key-1234"}
    return program


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("models", "code"),
    [("good", 0), ("good,missing", 1), ("good,wrong,dead", 1), ("missing,wrong,dead", 4), ("dead", 4)],
)
def test_the_doctors_exit_code_says_whether_all_some_or_none_are_usable(
    clinic: Program, models: str, code: int
) -> None:
    assert clinic("doctor", "sweep.yaml", "--model", models).code == code


def test_the_doctor_says_what_is_wrong_with_each(clinic: Program) -> None:
    done = clinic("doctor", "sweep.yaml", "--json")
    assert (done.code, done.err) == (1, "")
    findings = {finding["instance"]: finding for finding in json.loads(done.out)}
    usable = {name for name, finding in findings.items() if finding["is_usable"]}
    assert usable == {"east/m-1", "east/m-2", "gate/key0/good", "gate/key1/good"}
    assert "the key is not accepted (HTTP 401)" in findings["bad/key0/wrong"]["words"]
    assert "there is no such deployment or model here (HTTP 404)" in findings["east/m-9"]["words"]
    assert findings["dead/dead"]["words"].startswith("cannot be reached: ")


def test_the_doctors_table_has_a_line_for_each_instance(clinic: Program) -> None:
    out = clinic("doctor", "sweep.yaml").out
    assert out.count("NOT USABLE") == 3
    assert out.count("answers") == 4


def test_the_doctor_needs_the_keys(clinic: Program) -> None:
    del clinic.variables["WRONG_KEY"]
    done = clinic("doctor", "sweep.yaml")
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: the environment variable WRONG_KEY is not set; export it or write it into .env\n"


# ------------------------------------------------------------------ runs
def revoked(after: int | None) -> dict[str, Any]:
    return {"latency": FAST} if after is None else {"latency": FAST, "unauthorized_after": after}


def test_a_run_whose_keys_are_all_revoked_stops_and_can_be_resumed(
    program: Program, sweep: Sweep, books: Books
) -> None:
    program.write(sweep(program.folder, tasks=60, keys={"K0": revoked(10), "K1": revoked(15)}))
    done = program.run("sweep.yaml", "--max-workers", 4)
    path = program.path(done)
    assert done.code == 4
    assert "25 of 60 samples have a final record: no usable instance left for m: " in done.out
    for name in ("sim/K0/m: revoked (", "sim/K1/m: revoked ("):
        assert name in done.out
    assert len(books.rows(path)) == 25
    lost = [json.loads(line) for line in (path / "decisions.jsonl").read_text().splitlines()]
    assert {line["instance"] for line in lost if line["event"] == "instance_lost"} == {"sim/K0/m", "sim/K1/m"}
    program.write(sweep(program.folder, tasks=60, keys={"K0": revoked(None), "K1": revoked(None)}))
    assert program("resume", path, "-c", "sweep.yaml", "--no-stagger").code == 0
    books.require_each_once(path, 60)
    books.require_truth(path)


@pytest.mark.matrix
def test_a_revoked_key_is_left_alone_by_all_but_what_was_in_flight(
    program: Program, sweep: Sweep, books: Books
) -> None:
    program.write(sweep(program.folder, tasks=80, keys={"K0": revoked(10), "K1": revoked(None)}))
    path = program.path(program.run("sweep.yaml", "--max-workers", 4))
    refused = [line for line in books.log(path) if line["status"] == 401]
    assert 1 <= len(refused) <= 4


@pytest.mark.matrix
def test_samples_of_a_key_that_is_revoked_mid_run_move_and_say_why(
    program: Program, sweep: Sweep, books: Books
) -> None:
    program.write(sweep(program.folder, tasks=60, keys={"K0": revoked(10), "K1": revoked(None)}))
    done = program.run("sweep.yaml", "--max-workers", 4)
    assert done.code == 0
    path = program.path(done)
    books.require_each_once(path, 60)
    books.require_truth(path)
    rows = books.rows(path)
    moved = [row for row in rows if row["instance"] != row["planned_instance"]]
    assert len(moved) >= 20
    assert {(row["planned_instance"], row["instance"]) for row in moved} == {("sim/K0/m", "sim/K1/m")}
    assert [row["sample_id"] for row in moved if not row["moved_reason"]] == []
    assert all(row["moved_reason"] is None for row in rows if row not in moved)


def test_a_dead_deployments_samples_are_answered_by_the_other(program: Program, sweep: Sweep, books: Books) -> None:
    deployments = {"m-1": {"latency": FAST, "refuses_connections_after": 5}, "m-2": {"latency": FAST}}
    program.write(sweep(program.folder, tasks=30, deployments=deployments))
    done = program.run("sweep.yaml", "--max-workers", 4)
    assert done.code == 0
    books.require_each_once(program.path(done), 30)
    books.require_truth(program.path(done))


def test_a_quota_is_waited_for_and_never_booked_as_a_failure(program: Program, sweep: Sweep, books: Books) -> None:
    deployments = {name: {"rpm": 300, "window_s": 1, "latency": FAST} for name in ("m-1", "m-2")}
    program.write(sweep(program.folder, tasks=40, deployments=deployments))
    done = program.run("sweep.yaml")
    assert done.code == 0
    rows = books.rows(program.path(done))
    books.require_each_once(program.path(done), 40)
    assert {(row["outcome"], row["attempts"]) for row in rows} == {("ok", 1)}
    assert any(line["status"] == 429 for line in books.log(program.path(done)))
    assert any(row["throttles"] for row in rows)


def test_one_deployment_answers_for_two_models_of_a_sweep(program: Program, sweep: Sweep, books: Books) -> None:
    sections = sweep(program.folder, tasks=20)
    sections["models"] = {name: {"provider": "sim", "deployments": ["m-1"]} for name in ("low", "high")}
    program.write(sections)
    done = program.run("sweep.yaml")
    assert done.code == 0
    path = program.path(done)
    books.require_each_once(path, 40)
    asked = {(row["model"], row["instance"], row["deployment"]) for row in books.rows(path)}
    assert asked == {("low", "sim/m-1", "m-1"), ("high", "sim/m-1@high", "m-1")}


@pytest.mark.matrix
def test_a_run_that_may_not_open_enough_files_says_so_and_answers_all(
    program: Program, sweep: Sweep, books: Books
) -> None:
    program.write(sweep(program.folder, tasks=150))
    wrapper = program.folder / "few_files.py"
    wrapper.write_text(
        "import resource, runpy, sys\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))\n"
        "sys.argv = ['orchestrator', 'run', 'sweep.yaml', '--no-stagger', '--display', 'none']\n"
        "runpy.run_module('orchestrator', run_name='__main__')\n"
    )
    done = program.finish(program.start_python(wrapper))
    assert done.code == 0
    assert "need more open files than the system allows" in done.err
    path = program.path(done)
    books.require_each_once(path, 150)
    assert {row["attempts"] for row in books.rows(path)} == {1}
