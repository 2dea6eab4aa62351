"""The client's CPU cost of a request: our whole pipeline beside the minimal client and the openai SDK, measured by one program.

`python -m benchmarks.overhead [--quick] [--json FILE]`, from the folder of the repository. A server in a process of its own answers after
250 ms. Each point is a fresh process. The cost of a request is the difference between a long and a short run, so that imports and
connections cancel out. Clients alternate, and the table shows medians.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import orjson
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.clients import FLOOR, Job, Spent, task_line
from benchmarks.cores import describe_machine
from benchmarks.startup import Startup, measure_startup

ROOT = Path(__file__).resolve().parent.parent
DELAY_S = 0.25
WARM_UP = 10
"""Requests that each client sends before the measurement."""
DOCUMENT_REQUESTS_PER_S = 128.0
"""The claim of this project's original document, for two cores."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One client at one concurrency; the cost is the difference between a short and a long run."""

    client: str
    in_flight: int
    short: int
    long: int

    @property
    def n(self) -> int:
        """Requests that the difference covers."""
        return self.long - self.short


FULL = (
    Trial("ours", 300, 5_000, 20_000),
    Trial(FLOOR, 300, 5_000, 20_000),
    Trial("openai SDK on aiohttp", 300, 5_000, 20_000),
    Trial("openai SDK", 300, 5_000, 20_000),
    Trial("ours", 1_000, 5_000, 20_000),
    Trial(FLOOR, 1_000, 5_000, 20_000),
)
QUICK = (
    Trial("ours", 300, 1_000, 3_000),
    Trial(FLOOR, 300, 1_000, 3_000),
    Trial("openai SDK on aiohttp", 300, 500, 1_500),
    Trial("openai SDK", 300, 500, 1_500),
    Trial("ours", 1_000, 2_000, 5_000),
    Trial(FLOOR, 1_000, 2_000, 5_000),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one request, from one short and one long run."""

    cpu_ms: float
    requests_per_s: float
    server_cpu_ms: float


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table and of the JSON file."""

    client: str
    in_flight: int | None = None
    n: int | None = None
    """Requests that the figures cover, per repetition."""
    repetitions: int | None = None
    cpu_ms_per_request: float | None = None
    cpu_ms_min: float | None = None
    cpu_ms_max: float | None = None
    ratio_to_floor: float | None = None
    """CPU time relative to the minimal client at the same concurrency."""
    one_core_requests_per_s: float | None = None
    """Rate that one core sustains at this cost."""
    requests_per_s: float | None = None
    """Measured rate; the server's delay bounds it at in_flight / 0.25 s."""
    server_cpu_ms_per_request: float | None = None
    wall_ms: float | None = None
    ratio_to_python: float | None = None
    """Wall time relative to an interpreter that does nothing."""
    imported: str | None = None
    machine: str = ""


class Bench:
    """The server, the task files and the environment that all client processes share."""

    def __init__(self, folder: Path, port: int, server: psutil.Process, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._url = f"http://127.0.0.1:{port}/v1"
        self._server = server
        self._environment = environment

    def warm_up(self, client: str) -> None:
        """Send a few requests with the client."""
        self._spend(Trial(client, WARM_UP, WARM_UP, WARM_UP), WARM_UP)

    def cost(self, trial: Trial) -> Cost:
        """Measure the cost of a request in one trial."""
        (short, served_short_s), (long, served_long_s) = (self._spend(trial, n) for n in (trial.short, trial.long))
        wall_s = long.wall_s - short.wall_s
        return Cost(
            1000 * (long.cpu_s - short.cpu_s) / trial.n,
            trial.n / wall_s if wall_s > 0 else 0.0,
            1000 * (served_long_s - served_short_s) / trial.n,
        )

    def _spend(self, trial: Trial, n: int) -> tuple[Spent, float]:
        """Run the client and return what it spent, and the server's CPU seconds."""
        before = _cpu_s(self._server)
        with tempfile.TemporaryDirectory(dir=self._folder) as output:
            job = Job(self._url, n, trial.in_flight, str(self._tasks(n)), output)
            command = [sys.executable, "-m", "benchmarks.clients", trial.client, orjson.dumps(job).decode()]
            done = subprocess.run(command, cwd=output, env=self._environment, capture_output=True, check=False)
        if done.returncode:
            raise SystemExit(f"{trial.client}, {n} requests: {done.stderr.decode()[-2000:]}")
        return Spent(**orjson.loads(done.stdout)), _cpu_s(self._server) - before

    def _tasks(self, n: int) -> Path:
        path = self._folder / f"tasks-{n}.jsonl"
        if not path.exists():
            with path.open("wb") as file:
                file.writelines(map(task_line, range(n)))
        return path


@contextmanager
def open_bench(environment: Mapping[str, str]) -> Iterator[Bench]:
    """Start the server and stop it when the block ends."""
    command = [sys.executable, "-m", "benchmarks.lean_server", "--delay", str(DELAY_S)]
    with (
        tempfile.TemporaryDirectory(prefix="overhead-") as folder,
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server,
    ):
        assert server.stdin is not None
        assert server.stdout is not None
        yield Bench(Path(folder), int(server.stdout.readline()), psutil.Process(server.pid), environment)
        server.stdin.close()


@contextmanager
def compiled_once() -> Iterator[dict[str, str]]:
    """Create an environment that caches bytecode from the first import on, without settings from outside."""
    with tempfile.TemporaryDirectory(prefix="bytecode-") as folder:
        ours = {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": folder}
        yield {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "ORCHESTRATOR_"))} | ours


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


# ------------------------------------------------------------------ rows
def measure(trials: Sequence[Trial], repetitions: int, bench: Bench) -> list[Row]:
    """Run every trial `repetitions` times, alternating, after a warm-up that compiles the bytecode and is not counted."""
    for name in {trial.client for trial in trials}:
        bench.warm_up(name)
    costs: dict[Trial, list[Cost]] = {trial: [] for trial in trials}
    for repetition in range(repetitions):
        for trial in trials:
            costs[trial].append(bench.cost(trial))
            _say(f"{repetition + 1}/{repetitions} {trial.client}, {trial.in_flight} in flight: {costs[trial][-1]}")
    floors = {t.in_flight: median(cost.cpu_ms for cost in costs[t]) for t in trials if t.client == FLOOR}
    return [_row(trial, costs[trial], floors.get(trial.in_flight)) for trial in trials]


def _row(trial: Trial, costs: Sequence[Cost], floor_ms: float | None) -> Row:
    cpu_ms = [cost.cpu_ms for cost in costs]
    middle_ms = median(cpu_ms)
    return Row(
        client=trial.client,
        in_flight=trial.in_flight,
        n=trial.n,
        repetitions=len(costs),
        cpu_ms_per_request=middle_ms,
        cpu_ms_min=min(cpu_ms),
        cpu_ms_max=max(cpu_ms),
        ratio_to_floor=middle_ms / floor_ms if floor_ms else None,
        one_core_requests_per_s=1000 / middle_ms,
        requests_per_s=median(cost.requests_per_s for cost in costs),
        server_cpu_ms_per_request=median(cost.server_cpu_ms for cost in costs),
        machine=describe_machine(),
    )


def startup_row(startup: Startup) -> Row:
    """Build the row of the startup time."""
    return Row(
        client="orchestrator --help",
        repetitions=startup.repetitions,
        wall_ms=startup.help_ms,
        ratio_to_python=startup.help_ms / startup.python_ms,
        imported=", ".join(startup.imported) or "none",
        machine=describe_machine(),
    )


def document_row() -> Row:
    """Build the row of the claim in the original document."""
    return Row(
        "document (claimed)", requests_per_s=DOCUMENT_REQUESTS_PER_S, machine="two cores, as the document states"
    )


# ------------------------------------------------------------------ the table
HEADER = (
    "client",
    "in flight",
    "CPU ms/request",
    "min–max",
    "× floor",
    "one core: req/s",
    "reached req/s",
    "server CPU ms",
)


def table(rows: Sequence[Row]) -> str:
    """Format the rows as a text table."""
    lines = [HEADER, *(_cells(row) for row in rows if row.wall_ms is None)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(_aligned(line, widths)) for line in lines)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    yield cells[0].ljust(widths[0])
    yield from (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))


def _cells(row: Row) -> tuple[str, ...]:
    spread = None if row.cpu_ms_min is None else f"{row.cpu_ms_min:.3f}–{row.cpu_ms_max:.3f}"
    return (
        row.client,
        _shown(row.in_flight, ",.0f"),
        _shown(row.cpu_ms_per_request, ".3f"),
        spread or "–",
        _shown(row.ratio_to_floor, ".2f"),
        _shown(row.one_core_requests_per_s, ",.0f"),
        _shown(row.requests_per_s, ",.0f"),
        _shown(row.server_cpu_ms_per_request, ".3f"),
    )


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def startup_line(startup: Startup) -> str:
    """Describe the startup time in one line."""
    return (
        f"python -m orchestrator --help: {startup.help_ms:.0f} ms, {startup.help_ms / startup.python_ms:.1f} × `python -c pass` "
        f"({startup.python_ms:.0f} ms); of the heavy packages it imported: {', '.join(startup.imported) or 'none'}"
    )


def main() -> None:
    """Measure, print the table and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests; less precise figures")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--only", metavar="NAME", help="clients whose name contains NAME, and the floor")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    options = parser.parse_args()
    trials = [t for t in (QUICK if options.quick else FULL) if (options.only or "") in t.client or t.client == FLOOR]
    with compiled_once() as environment:
        startup = measure_startup(environment)
        with open_bench(environment) as bench:
            rows = [*measure(trials, options.repetitions, bench), document_row(), startup_row(startup)]
    print(f"{describe_machine()}; server: {DELAY_S * 1000:.0f} ms, on a core of its own\n")
    print(table(rows))
    print(f"\n{startup_line(startup)}")
    if options.json:
        options.json.write_bytes(orjson.dumps([asdict(row) for row in rows], option=orjson.OPT_INDENT_2))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
