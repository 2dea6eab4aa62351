"""The program as a person runs it: a process of its own, in a folder of its own, with an environment of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.fork_server import ForkServer
from orchestrator.config.setting_index import ENVIRONMENT_PREFIX, fixed_settings
from orchestrator.results.run import Run
from tests.integration.forked_command import ForkedCommand

Process = subprocess.Popen[str] | ForkedCommand
PATIENCE_S = 240.0
FAST = {"ttft_s": 0.01, "itl_s": 0.0}


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def run_directory(self) -> Path:
        """As the last line of `run` and `resume` says it."""
        last = self.out.splitlines()[-1]
        assert last.startswith("run directory: "), (last, self.err)
        return Path(last.removeprefix("run directory: "))


@dataclass
class Program:
    """Commands run in `folder`, with nothing of this machine's settings."""

    folder: Path
    forks: ForkServer
    variables: dict[str, str] = field(default_factory=dict)
    started: list[Process] = field(default_factory=list)

    def start(self, *arguments: object) -> ForkedCommand:
        """A process like `python -m orchestrator`, forked from one that has the imports done."""
        process = ForkedCommand(self.forks, self._environment(), self.folder, [*map(str, arguments)])
        self.started.append(process)
        return process

    def start_python(self, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def _environment(self) -> dict[str, str]:
        return {
            **_clean_environment(),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "XDG_CACHE_HOME": str(self.folder / "own_cache"),
            **self.variables,
        }

    def finish(self, process: Process) -> Done:
        out, err = process.communicate(timeout=PATIENCE_S)
        done = Done(process.wait(), out, err)
        assert "Traceback" not in err, err
        return done

    def __call__(self, *arguments: object) -> Done:
        return self.finish(self.start(*arguments))

    def run(self, *arguments: object) -> Done:
        """`run`, plain and with every shard starting at once."""
        return self("run", *arguments, "--no-stagger", "--display", "none")

    def write(self, sections: Mapping[str, Any], name: str = "sweep.yaml") -> Path:
        path = self.folder / name
        path.write_text(yaml.safe_dump(dict(sections), sort_keys=False))
        return path

    def path(self, done: Done) -> Path:
        return self.folder / done.run_directory

    def only_run(self) -> Path:
        """The one run directory there is, as soon as there is one."""
        self.wait_for(lambda: any(self.folder.glob("runs/*/manifest.json")))
        (manifest,) = self.folder.glob("runs/*/manifest.json")
        return manifest.parent

    def wait_for(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < until, "it never came"
            time.sleep(0.02)

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()


def _clean_environment() -> dict[str, str]:
    short = {setting.short_variable for setting in fixed_settings()}
    ours = {name for name in os.environ if name in short or name.startswith(ENVIRONMENT_PREFIX)}
    return {name: value for name, value in os.environ.items() if name not in ours}


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    with ForkServer() as server:
        yield server


@pytest.fixture(scope="session")
def make_program(forks: ForkServer) -> Iterator[Callable[[Path], Program]]:
    made: list[Program] = []

    def make(folder: Path) -> Program:
        made.append(Program(folder, forks))
        return made[-1]

    yield make
    for program in made:
        program.close()


@pytest.fixture
def program(make_program: Callable[[Path], Program], tmp_path: Path) -> Iterator[Program]:
    found = make_program(tmp_path)
    yield found
    found.close()


def write_tasks(folder: Path, count: int) -> Path:
    """Sums, of two kinds, each its own question."""
    path = folder / "tasks.jsonl"
    rows = (
        {"id": f"t{n}", "question": f"What is {n} + {n}?", "answer": 2 * n, "task_type": "odd" if n % 2 else "even"}
        for n in range(1, count + 1)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="session")
def sweep() -> Callable[..., dict[str, Any]]:
    return small_sweep


def small_sweep(folder: Path, tasks: int = 20, **simulator: Any) -> dict[str, Any]:
    """One model on two simulated deployments; `simulator` changes the provider."""
    write_tasks(folder, tasks)
    deployments = {name: {"latency": FAST, "dialect": "azure"} for name in ("m-1", "m-2")}
    provider = {"type": "simulator", "deployments": deployments, "answers": {"skill": 0.6, "spread": 1.0}, **simulator}
    return {
        "providers": {"sim": provider},
        "models": {"m": {"provider": "sim", **_routes(provider)}},
        "tasks": [{"path": "tasks.jsonl", "scorer": "numeric"}],
        "generation": {"max_tokens": 64},
    }


@pytest.fixture(scope="session")
def open_ended() -> Callable[..., dict[str, Any]]:
    return open_ended_sweep


def open_ended_sweep(folder: Path, tasks: int, ttft_s: float = 0.1, **simulator: Any) -> dict[str, Any]:
    """A small sweep that doesn't end before it is stopped: half of its samples wait for a deployment with one request a minute.

    A stop does not wait for them. A resume with `small_sweep` completes it.
    """
    latency = {"ttft_s": ttft_s, "itl_s": 0.0}
    answering = {"latency": latency, "dialect": "azure"}
    waiting = {**answering, "rpm": 1.0, "window_s": 60.0, "retry_after": "window"}
    deployments = {"m-1": answering, "m-2": waiting}
    sections = small_sweep(folder, tasks, deployments=deployments, **simulator)
    return {**sections, "run": {"rebalance": False}}


def _routes(provider: Mapping[str, Any]) -> dict[str, list[str]]:
    keys = provider.get("keys")
    return {"keys": list(keys)} if keys else {"deployments": list(provider["deployments"])}


@dataclass(frozen=True)
class Books:
    """Checks on what a run left behind."""

    def rows(self, path: Path) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = Run.load(path).to_arrow().to_pylist()
        return rows

    def log(self, path: Path, provider: str = "sim") -> list[dict[str, Any]]:
        return [json.loads(line) for line in (path / f"simulator-{provider}.jsonl").read_bytes().splitlines()]

    def logged(self, path: Path) -> int:
        """Answers so far; 0 before the log is there."""
        log = path / "simulator-sim.jsonl"
        return log.read_bytes().count(b"\n") if log.exists() else 0

    def require_each_once(self, path: Path, total: int) -> None:
        """Every sample has one final record, and nothing is unresolved."""
        rows = self.rows(path)
        counts = Counter(row["sample_id"] for row in rows)
        assert len(counts) == len(rows) == total
        assert {row["outcome"] for row in rows} <= {"ok", "model_failure"}
        assert sorted(row["ordinal"] for row in rows) == list(range(total))

    def require_truth(self, path: Path, provider: str = "sim") -> None:
        """`passed` is what the simulator meant, row for row."""
        meant = {
            line["request_id"]: line["right"]
            for line in self.log(path, provider)
            if line["status"] == 200 and line["fault"] is None
        }
        answered = [row for row in self.rows(path) if row["outcome"] == "ok"]
        assert answered
        assert {row["request_id"]: row["passed"] for row in answered} == {
            row["request_id"]: meant[row["request_id"]] for row in answered
        }


@pytest.fixture(scope="session")
def books() -> Books:
    return Books()


@dataclass(frozen=True)
class Provider:
    """A simulator that stands alone, as a provider stands alone: an address and keys."""

    url: str
    secrets: Mapping[str, str]

    def settings(self, **more: Any) -> dict[str, Any]:
        azure = {"type": "azure", "endpoint": self.url, "api_key_env": "PLANTED_AZURE", **more}
        gateway = {"type": "gateway", "base_url": f"{self.url}/v1", "api_key_envs": ["PLANTED_0", "PLANTED_1"], **more}
        return {"east": azure, "gate": gateway}


@pytest.fixture(scope="session")
def provider(make_program: Callable[[Path], Program], tmp_path_factory: pytest.TempPathFactory) -> Provider:
    """Deployments `m-1` and `m-2`, and two gateway keys that serve anything; answers know the small sweep's tasks."""
    folder = tmp_path_factory.mktemp("provider")
    secrets = {"SIMULATOR_KEY": "planted-azure-5f1c", "K0": "planted-gateway-0-77ab", "K1": "planted-gateway-1-90cd"}
    program = make_program(folder)
    program.variables = dict(secrets)
    sections = small_sweep(folder, tasks=20, keys={"K0": {"latency": FAST}, "K1": {"latency": FAST}})
    program.write(sections)
    process = program.start("simulator", "sweep.yaml")
    assert process.stdout is not None
    answer = json.loads(process.stdout.readline())
    assert sorted(answer["keys"]) == sorted(secrets)
    planted = {"PLANTED_AZURE": "SIMULATOR_KEY", "PLANTED_0": "K0", "PLANTED_1": "K1"}
    return Provider(answer["url"], {name: secrets[key] for name, key in planted.items()})
