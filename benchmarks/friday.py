"""A run that is left alone from Friday on: faults of all kinds, a key revoked, a deployment that flaps, a program that is killed; and then
the books.

`python -m benchmarks.friday [--minutes M] [--kills N] [--json FILE]`, from the folder of the repository. The provider is the simulator in a
process of its own, which outlives every kill; its log says what it answered. N executions are ended by SIGKILL at random times, the last
one brings the run to its end, and every sample is held against `verify`, against the result files, and against the provider's log.
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
"""A little less than what the quotas let through, with a twentieth of it lost to faults."""
RPM = 600
REVOKED_AFTER = 3_000
OUTAGES = ((0.05, 0.08), (0.2, 0.27), (0.4, 0.41), (0.42, 0.43), (0.44, 0.45), (0.7, 0.8))
"""Of the deployment that flaps, as shares of the time."""
FAULTS = {
    "error_500": 0.010, "reset": 0.008, "malformed": 0.006, "empty": 0.005, "content_filter": 0.005,
    "error_in_200": 0.005, "length": 0.004, "early_end": 0.004, "stall": 0.003,
}  # fmt: skip
"""Five of a hundred requests."""
STALL_S = 60.0
ATTEMPT_S = 15.0
SECRETS = {"SIMULATOR_KEY": "friday-east", "GATE_0": "friday-gate-0", "GATE_1": "friday-gate-1"}
INFRA_LEFT = 1
"""Exit code of a run that has samples which the infrastructure failed: a resume tries them again."""
MOST_RESUMES = 5
PATIENCE_S = 7200.0


@dataclass(frozen=True, slots=True)
class Execution:
    """One process."""

    execution: str
    exit_code: int
    wall_s: float
    cpu_s: float
    peak_rss_mb: float
    """0 where the kernel does not say."""


@dataclass(frozen=True, slots=True)
class Books:
    """What the run ended with, and what the provider knows of it."""

    n: int
    final: int
    lost: int
    duplicated: int
    unresolved: int
    never_answered: int
    """Records of answers that the provider did not give, or gave otherwise."""
    misjudged: int
    """Answers that were scored otherwise than they were meant."""
    paid_again: int
    """Samples that the provider answered whole more than once: their record was lost with a kill."""
    outcomes: Mapping[str, int]
    """By outcome and error class."""
    requests: Mapping[str, int]
    """What the provider saw, by status and fault."""

    @property
    def are_even(self) -> bool:
        wrong = self.lost or self.duplicated or self.unresolved or self.never_answered or self.misjudged
        return self.final == self.n and not wrong


# ------------------------------------------------------------------ the scene
def write_scene(folder: Path, minutes: float, samples: int) -> None:
    """Tasks, and the provider's file."""
    lines = (orjson.dumps({"id": f"t{n}", "question": f"What is {n} + {n}?", "answer": 2 * n}) for n in range(samples))
    (folder / "tasks.jsonl").write_bytes(b"\n".join(lines))
    latency = {"ttft_s": 0.3, "itl_s": 0.01, "noise": 0.4}
    east = {"rpm": RPM, "dialect": "azure", "latency": latency}
    gate = {"rpm": RPM, "retry_after": "none", "latency": latency}
    outages = [[share * 60 * minutes for share in one] for one in OUTAGES]
    provider = {
        "type": "simulator",
        "deployments": {"m-1": east, "m-2": {**east, "outages": outages}, "m-3": east},
        "keys": {"GATE_0": gate, "GATE_1": {**gate, "unauthorized_after": REVOKED_AFTER}},
        "answers": {"skill": 0.7, "spread": 1.0},
        "faults": {**FAULTS, "stall_s": STALL_S},
    }
    _write(folder / "provider.yaml", {"sim": provider}, {"provider": "sim", "keys": ["GATE_0"]})


def write_sweep(folder: Path, url: str) -> None:
    """The file that a person has, who knows of no simulator."""
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
    """Its address, for as long as the block lasts."""
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
    """One command, to its end or to its kill at `kill_at` (monotonic time)."""
    since = time.monotonic()
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *command],
            cwd=folder,
            env=_environment(folder),
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        peak_mb = _wait(process, PATIENCE_S if kill_at is None else kill_at - since)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_s, cpu_s = time.monotonic() - since, usage.ru_utime + usage.ru_stime
    found = Execution(command[0], process.returncode, round(wall_s, 1), round(cpu_s, 1), round(peak_mb, 1))
    print(found, flush=True)
    print((folder / "said").read_text(), flush=True)
    return found


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> float:
    """Until it has ended, which leaves it to be reaped, or to its kill. Returns the peak of its memory in MB."""
    until, peak_mb = time.monotonic() + timeout_s, 0.0
    while time.monotonic() < until:
        if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return peak_mb
        peak_mb = max(peak_mb, _peak_mb(process.pid))
        time.sleep(0.05)
    process.kill()
    return peak_mb


def _peak_mb(pid: int) -> float:
    """As the kernel keeps it for the program itself: `ru_maxrss` begins with what this process had when it forked."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def live_through(folder: Path, kill_after_s: Sequence[float]) -> list[Execution]:
    """Run, be killed, resume, be killed …, and go on until no sample is left."""
    since, found = time.monotonic(), list[Execution]()
    for after_s in [*kill_after_s, *[None] * MOST_RESUMES]:
        command = ("resume", str(_only_run(folder))) if found else ("run", "sweep.yaml")
        found.append(execute(folder, None if after_s is None else since + after_s, *command))
        if found[-1].exit_code not in {INFRA_LEFT, -9}:
            break
    return found


def _only_run(folder: Path) -> Path:
    (path,) = (folder / "runs").iterdir()
    return path


# ------------------------------------------------------------------ the books
def balance(folder: Path, samples: int) -> Books:
    """The result files, read without the program, against the provider's log."""
    run = _only_run(folder)
    rows, entries = final_rows(run), [orjson.loads(line) for line in (folder / "answers.jsonl").open("rb")]
    whole = [one for one in entries if one["status"] == 200 and one["fault"] is None]
    meant = {one["response_id"]: one for one in whole}
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
        paid_again=sum(count > 1 for count in Counter(one["sample_id"] for one in whole).values()),
        outcomes=_counted(f"{row['outcome']}: {row['error_class'] or row['grade']}" for row in rows),
        requests=_counted(_kind(one) for one in entries),
    )


def _is_known(row: Row, meant: Mapping[str, Mapping[str, Any]]) -> bool:
    return row["response_id"] in meant and meant[row["response_id"]]["sample_id"] == row["sample_id"]


def _kind(entry: Mapping[str, Any]) -> str:
    status = entry["status"] or "cut"
    return f"{status}: {entry['fault']}" if entry["fault"] else str(status)


def _counted(kinds: Iterator[str]) -> dict[str, int]:
    return dict(Counter(kinds).most_common())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the times of the kills")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, too")
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
