"""An unattended run with faults of all kinds, a revoked key, an unstable deployment and kills; then all records are checked.

`python -m benchmarks.friday [--minutes M] [--kills N] [--json FILE]`, from the folder of the repository. The provider is the simulator in a
process of its own, which survives every kill and logs its answers. N executions are ended by SIGKILL at random times, and the last one
completes the run. Every sample is checked with `verify`, against the result files, and against the provider's log.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.cores import describe_machine
from benchmarks.crash_matrix.stored_records import Row, final_rows, unresolved_rows

ROOT = Path(__file__).resolve().parent.parent
SAMPLES_PER_MINUTE = 2_150
"""Slightly less than the quotas allow, with a twentieth of that lost to faults."""
RPM = 600
REVOKED_AFTER = 3_000
OUTAGES = ((0.05, 0.08), (0.2, 0.27), (0.4, 0.41), (0.42, 0.43), (0.44, 0.45), (0.7, 0.8))
"""Outages of the unstable deployment, as shares of the time."""
FAULTS = {
    "error_500": 0.010, "reset": 0.008, "malformed": 0.006, "empty": 0.005, "content_filter": 0.005,
    "error_in_200": 0.005, "length": 0.004, "early_end": 0.004, "stall": 0.003,
}  # fmt: skip
"""Five percent of the requests."""
STALL_S = 60.0
ATTEMPT_S = 15.0
SECRETS = {"SIMULATOR_KEY": "friday-east", "GATE_0": "friday-gate-0", "GATE_1": "friday-gate-1"}
INFRA_LEFT = 1
"""Exit code of a run with samples that failed because of the infrastructure: a resume runs them again."""
MOST_RESUMES = 5
PATIENCE_S = 7200.0


@dataclass(frozen=True, slots=True)
class Execution:
    """Exit code and resources of one process."""

    execution: str
    exit_code: int
    wall_s: float
    cpu_s: float
    peak_rss_mb: float
    """0 where the kernel does not report it."""


@dataclass(frozen=True, slots=True)
class Books:
    """The final records of the run, compared with the provider's log."""

    n: int
    final: int
    lost: int
    duplicated: int
    unresolved: int
    never_answered: int
    """Records of answers that the provider did not give or gave differently."""
    misjudged: int
    """Answers whose score differs from the intended one."""
    paid_again: int
    """Samples that the provider answered completely more than once: a kill lost their record."""
    outcomes: Mapping[str, int]
    """By outcome and error class."""
    requests: Mapping[str, int]
    """Requests as the provider saw them, by status and fault."""

    @property
    def are_even(self) -> bool:
        """Whether every sample has exactly one correct final record."""
        wrong = self.lost or self.duplicated or self.unresolved or self.never_answered or self.misjudged
        return self.final == self.n and not wrong


# ------------------------------------------------------------------ setup
def write_scene(folder: Path, minutes: float, samples: int) -> None:
    """Write the tasks and the provider's configuration."""
    lines = (orjson.dumps({"id": f"t{n}", "question": f"What is {n} + {n}?", "answer": 2 * n}) for n in range(samples))
    (folder / "tasks.jsonl").write_bytes(b"\n".join(lines))
    latency = {"ttft_s": 0.3, "itl_s": 0.01, "noise": 0.4}
    east = {"rpm": RPM, "dialect": "azure", "latency": latency}
    gate = {"rpm": RPM, "retry_after": "none", "latency": latency}
    outages = [[share * 60 * minutes for share in outage] for outage in OUTAGES]
    provider = {
        "type": "simulator",
        "deployments": {"m-1": east, "m-2": {**east, "outages": outages}, "m-3": east},
        "keys": {"GATE_0": gate, "GATE_1": {**gate, "unauthorized_after": REVOKED_AFTER}},
        "answers": {"skill": 0.7, "spread": 1.0},
        "faults": {**FAULTS, "stall_s": STALL_S},
    }
    _write(folder / "provider.yaml", {"sim": provider}, {"provider": "sim", "keys": ["GATE_0"]})


def write_sweep(folder: Path, url: str) -> None:
    """Write the sweep file of a user who does not know that the provider is a simulator."""
    east = {"type": "azure", "endpoint": url, "api_key_env": "SIMULATOR_KEY"}
    gate = {"type": "gateway", "base_url": f"{url}/v1", "api_key_envs": ["GATE_0", "GATE_1"]}
    routes = [{"provider": "east", "deployments": ["m-1", "m-2", "m-3"]}, {"provider": "gate"}]
    _write(
        folder / "sweep.yaml",
        {"east": east, "gate": gate},
        {"routes": routes, "workers": 40, "timeouts": {"attempt_s": ATTEMPT_S}},
    )


def _write(path: Path, providers: Mapping[str, object], model: Mapping[str, object]) -> None:
    sections = {
        "providers": providers,
        "models": {"m": model},
        "tasks": [{"path": "tasks.jsonl", "scorer": "numeric"}],
        "generation": {"max_tokens": 64},
        "run": {"display": "none", "part_records": 5_000, "stagger_s": [0, 5]},
    }
    path.write_text(yaml.safe_dump(sections))


@contextmanager
def provider_of(folder: Path) -> Iterator[str]:
    """Start the provider, yield its address, and stop it when the block ends."""
    command = [
        sys.executable,
        "-m",
        "orchestrator",
        "simulator",
        "provider.yaml",
        "--log",
        str(folder / "answers.jsonl"),
    ]
    process = subprocess.Popen(command, cwd=folder, env=_environment(folder), stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield orjson.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.communicate()


def _environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "ORCHESTRATOR_"))}
    return {**kept, **SECRETS, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder / "state")}


# ------------------------------------------------------------------ the run
def execute(folder: Path, kill_at: float | None, *command: str) -> Execution:
    """Run one command to its end, or kill it at `kill_at` (monotonic time)."""
    since = time.monotonic()
    with (folder / "said").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *command],
            cwd=folder,
            env=_environment(folder),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        peak_mb = _wait(process, PATIENCE_S if kill_at is None else kill_at - since)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_s, cpu_s = time.monotonic() - since, usage.ru_utime + usage.ru_stime
    execution = Execution(command[0], process.returncode, round(wall_s, 1), round(cpu_s, 1), round(peak_mb, 1))
    print(execution, flush=True)
    print((folder / "said").read_text(), flush=True)
    return execution


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> float:
    """Wait until the process has ended, without reaping it, or kill it at the timeout. Return its peak memory in MB."""
    until, peak_mb = time.monotonic() + timeout_s, 0.0
    while time.monotonic() < until:
        if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return peak_mb
        peak_mb = max(peak_mb, _peak_mb(process.pid))
        time.sleep(0.05)
    process.kill()
    return peak_mb


def _peak_mb(pid: int) -> float:
    """Read the peak memory of the program itself: `ru_maxrss` starts with the memory of the process that forked it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def live_through(folder: Path, kill_after_s: Sequence[float]) -> list[Execution]:
    """Run, get killed, resume, get killed …, and continue until no sample is left."""
    since, executions = time.monotonic(), list[Execution]()
    for after_s in [*kill_after_s, *[None] * MOST_RESUMES]:
        command = ("resume", str(_only_run(folder))) if executions else ("run", "sweep.yaml")
        executions.append(execute(folder, None if after_s is None else since + after_s, *command))
        if executions[-1].exit_code not in {INFRA_LEFT, -9}:
            break
    return executions


def _only_run(folder: Path) -> Path:
    (path,) = (folder / "runs").iterdir()
    return path


# ------------------------------------------------------------------ checks
def balance(folder: Path, samples: int) -> Books:
    """Compare the result files, read without the program, with the provider's log."""
    run = _only_run(folder)
    rows, entries = final_rows(run), [orjson.loads(line) for line in (folder / "answers.jsonl").open("rb")]
    whole = [entry for entry in entries if entry["status"] == 200 and entry["fault"] is None]
    meant = {entry["response_id"]: entry for entry in whole}
    ordinals, answered = Counter(row["ordinal"] for row in rows), [row for row in rows if row["outcome"] == "ok"]
    unknown = [row for row in answered if not _is_known(row, meant)]
    return Books(
        n=samples,
        final=len(rows),
        lost=len(set(range(samples)) - ordinals.keys()),
        duplicated=sum(ordinals.values()) - len(ordinals),
        unresolved=len(unresolved_rows(run)),
        never_answered=len(unknown),
        misjudged=sum(row["passed"] != meant[row["response_id"]]["right"] for row in answered if row not in unknown),
        paid_again=sum(count > 1 for count in Counter(entry["sample_id"] for entry in whole).values()),
        outcomes=_counted(f"{row['outcome']}: {row['error_class'] or row['grade']}" for row in rows),
        requests=_counted(_kind(entry) for entry in entries),
    )


def _is_known(row: Row, meant: Mapping[str, Mapping[str, Any]]) -> bool:
    return row["response_id"] in meant and meant[row["response_id"]]["sample_id"] == row["sample_id"]


def _kind(entry: Mapping[str, Any]) -> str:
    status = entry["status"] or "cut"
    return f"{status}: {entry['fault']}" if entry["fault"] else str(status)


def _counted(kinds: Iterator[str]) -> dict[str, int]:
    return dict(Counter(kinds).most_common())


def main() -> None:
    """Run the scenario, print the checks, and exit with 1 where one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="seed of the kill times")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    options = parser.parse_args()
    samples, rng = round(options.minutes * SAMPLES_PER_MINUTE), random.Random(options.seed)
    kills_s = sorted(60 * options.minutes * rng.uniform(0.05, 0.95) for _ in range(options.kills))
    print(
        f"{describe_machine()}; {samples:,} samples, killed after {', '.join(f'{s:.0f} s' for s in kills_s)}",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="friday-") as name:
        folder = Path(name)
        write_scene(folder, options.minutes, samples)
        with provider_of(folder) as url:
            write_sweep(folder, url)
            executions = live_through(folder, kills_s)
            executions.append(execute(folder, None, "verify", str(_only_run(folder)), "--complete"))
        books = balance(folder, samples)
    print(orjson.dumps(books, option=orjson.OPT_INDENT_2).decode())
    if options.json:
        rows = [*map(asdict, executions), asdict(books)]
        options.json.write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2))
    sys.exit(0 if books.are_even and executions[-1].exit_code == 0 else 1)


if __name__ == "__main__":
    main()
