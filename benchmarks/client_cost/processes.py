"""The processes of a measurement: one server, and a fresh process for every run of a client."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from .clients import CLIENTS
from .cpu_meter import Reading
from .job import Job
from .trials import OverheadTrial
from .workloads import WORKLOADS

ROOT = Path(__file__).resolve().parents[2]
DELAY_S = 0.25
WARM_UP = 10
"""Requests that each client sends before the measurement, which compiles its bytecode."""


@dataclass(frozen=True, slots=True)
class RequestCost:
    """Cost of one request, between two requests of one process."""

    cpu_ms: float
    requests_per_s: float
    server_cpu_ms: float


class ClientProcesses:
    """The server, the task files and the environment that all client processes share.

    `peers` has the Python of the virtual environment of each peer.
    """

    def __init__(self, folder: Path, port: int, environment: Mapping[str, str], peers: Mapping[str, str]) -> None:
        self._folder = folder
        self._port = port
        self._environment = environment
        self._peers = peers

    def warm_up(self, trial: OverheadTrial) -> None:
        """Send a few requests with the client of a trial."""
        self._run(trial, 1, WARM_UP)

    def cost(self, trial: OverheadTrial) -> RequestCost:
        """Measure the cost of a request in one trial."""
        since, until = self._run(trial, trial.first, trial.last)
        return RequestCost(
            1000 * (until.client_cpu_s - since.client_cpu_s) / trial.n,
            trial.n / (until.at_s - since.at_s),
            1000 * (until.server_cpu_s - since.server_cpu_s) / trial.n,
        )

    def _run(self, trial: OverheadTrial, first: int, last: int) -> Sequence[Reading]:
        """Run the client, with enough requests that as many as ever are in flight when the last counted one arrives."""
        n = last + trial.in_flight
        with tempfile.TemporaryDirectory(dir=self._folder) as output:
            url = f"http://127.0.0.1:{self._port}/{trial.workload}/v1"
            tasks = str(self._tasks(trial.workload, n))
            mode = trial.mode or "fixed"
            job = Job(url, n, trial.in_flight, tasks, output, trial.workload, mode, trial.instances, first, last)
            command = [*self._program(trial.client), trial.client, orjson.dumps(job).decode()]
            done = subprocess.run(command, cwd=output, env=self._environment, capture_output=True, check=False)
        if done.returncode:
            raise SystemExit(f"{trial}, {n} requests: {done.stderr.decode()[-2000:]}")
        return [Reading(**reading) for reading in orjson.loads(done.stdout.splitlines()[-1])]

    def _program(self, client: str) -> list[str]:
        if client in CLIENTS:
            return [sys.executable, "-m", "benchmarks.client_cost.clients"]
        return [self._peers[client], "-m", "benchmarks.client_cost.peers"]

    def _tasks(self, workload: str, n: int) -> Path:
        path = self._folder / f"{workload}-{n}.jsonl"
        if not path.exists():
            with path.open("wb") as file:
                file.writelines(map(WORKLOADS[workload].task_line, range(n)))
        return path


@contextmanager
def open_processes(environment: Mapping[str, str], peers: Mapping[str, str]) -> Iterator[ClientProcesses]:
    """Start the server and stop it when the block ends."""
    command = [sys.executable, "-m", "benchmarks.client_cost.lean_server", "--delay", str(DELAY_S)]
    with (
        tempfile.TemporaryDirectory(prefix="overhead-") as folder,
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server,
    ):
        assert server.stdin is not None
        assert server.stdout is not None
        port = int(server.stdout.readline())
        yield ClientProcesses(Path(folder), port, environment, peers)
        server.stdin.close()


@contextmanager
def compiled_once() -> Iterator[dict[str, str]]:
    """Create an environment that caches bytecode from the first import on, without settings and state from outside."""
    with tempfile.TemporaryDirectory(prefix="bytecode-") as folder:
        ours = {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": folder, "XDG_STATE_HOME": f"{folder}/state"}
        yield {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "ORCHESTRATOR_"))} | ours
