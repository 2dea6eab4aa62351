"""A run of a million samples that is killed repeatedly: memory, time to resume, and completeness at the end.

`python -m benchmarks.million [--samples N] [--kills N] [--answer-bytes N] [--json FILE]`, from the folder of the repository; 10,000 samples
without a kill and with `--answer-bytes 100000` show what long answers need. Every execution is the program
itself, `python -m orchestrator run` or `resume`, in a process of its own, with the real pools, journal and result parts; only the provider
answers without a network. It is ended by SIGKILL after an equal share of the samples, and `verify` checks at the end that each sample is
stored once.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.cores import describe_machine

ROOT = Path(__file__).resolve().parent.parent
TASKS = 10_000
"""Each is repeated in as many epochs as needed."""
ENTRY_POINT = "[orchestrator.providers]\ninstant = benchmarks.instant:INSTANT\n"
IMPORTS = "import " + ", ".join(
    (
        "orchestrator.cli.sweeps.run",
        "orchestrator.cli.sweeps.execution",
        "orchestrator.execution.execute",
        "orchestrator.results.run",
        "orchestrator.results.verify.verifier",
        "runners.journal.sinks.parquet",
        "benchmarks.instant",
        "uvloop",
        "pyarrow.parquet",
        "genai_prices",
    )
)
MB = 1024.0
"""Kilobytes, the unit of ru_maxrss."""


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one process."""

    execution: str
    n: int
    """Samples of the run."""
    wall_s: float
    cpu_s: float
    peak_rss_mb: float
    above_imports_mb: float
    """Peak memory minus that of an interpreter with the same imports."""
    start_s: float | None = None
    """From process start to its first request."""
    start_cpu_s: float | None = None
    """CPU time until then: the same on a busy machine."""
    exit_code: int = 0
    machine: str = ""


class Bench:
    """A folder with tasks and configuration, and an environment in which our provider is installed."""

    def __init__(self, folder: Path, samples: int, share: int, answer_bytes: int = 0) -> None:
        self._folder = folder
        self._samples = samples
        self._answer_bytes = answer_bytes
        self._first_send = folder / "first_send"
        info = folder / "site" / "instant-1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: instant\nVersion: 1\n")
        (info / "entry_points.txt").write_text(ENTRY_POINT)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "ORCHESTRATOR_"))}
        paths = os.pathsep.join([str(ROOT), str(folder / "site")])
        self._environment = {**kept, "PYTHONPATH": paths, "XDG_STATE_HOME": str(folder / "state")}
        self._write_tasks()
        self._write("killed.yaml", share)
        self._write("spared.yaml", None)
        self._imports_mb = self._spend("imports", [sys.executable, "-c", IMPORTS]).peak_rss_mb

    def execute(self, name: str, *arguments: str) -> Row:
        """Run one command of the program."""
        return self._spend(name, [sys.executable, "-m", "orchestrator", *arguments])

    def only_run(self) -> str:
        """Return the path of the only run."""
        (path,) = (self._folder / "runs").iterdir()
        return str(path)

    def _spend(self, name: str, command: Sequence[str]) -> Row:
        self._first_send.unlink(missing_ok=True)
        started_at = time.time()
        with (self._folder / "output").open("wb") as output:
            process = subprocess.Popen(
                command, cwd=self._folder, env=self._environment, stdout=output, stderr=subprocess.STDOUT
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        first_send_at, first_send_cpu_s = self._first_sent()
        return Row(
            execution=name,
            n=self._samples,
            wall_s=time.time() - started_at,
            cpu_s=usage.ru_utime + usage.ru_stime,
            peak_rss_mb=usage.ru_maxrss / MB,
            above_imports_mb=usage.ru_maxrss / MB - getattr(self, "_imports_mb", usage.ru_maxrss / MB),
            start_s=None if first_send_at is None else first_send_at - started_at,
            start_cpu_s=first_send_cpu_s,
            exit_code=process.returncode,
            machine=describe_machine(),
        )

    def _first_sent(self) -> tuple[float, float] | tuple[None, None]:
        if not self._first_send.exists():
            return None, None
        at, cpu_s = map(float, self._first_send.read_text().split())
        return at, cpu_s

    def said(self) -> str:
        """Return the output of the last command."""
        return (self._folder / "output").read_text()

    def _write_tasks(self) -> None:
        lines = (orjson.dumps({"id": f"t{n}", "question": f"What is {n} and 0?", "answer": 42}) for n in range(TASKS))
        (self._folder / "tasks.jsonl").write_bytes(b"\n".join(lines))

    def _write(self, name: str, die_after: int | None) -> None:
        instant = {
            "type": "instant",
            "first_send": str(self._first_send),
            "die_after": die_after,
            "answer_bytes": self._answer_bytes,
        }
        sections: Mapping[str, object] = {
            "providers": {"own": instant},
            "models": {"m": {"provider": "own", "deployments": ["m-1", "m-2", "m-3"], "workers": 100}},
            "tasks": [{"path": "tasks.jsonl", "scorer": "numeric"}],
            "sweep": {"epochs": self._samples // TASKS},
            "run": {"stagger_s": [0], "display": "none"},
        }
        (self._folder / name).write_text(yaml.safe_dump(sections))


def measure(bench: Bench, kills: int) -> list[Row]:
    """Run, kill and resume, then verify; return a row per process."""
    rows = [bench.execute("run, killed" if kills else "run", "run", "killed.yaml" if kills else "spared.yaml")]
    _say(rows[-1])
    for number in range(1, kills + 1):
        is_last = number == kills
        name, config = ("resume", "spared.yaml") if is_last else ("resume, killed", "killed.yaml")
        rows.append(bench.execute(name, "resume", bench.only_run(), "-c", config))
        _say(rows[-1])
    if rows[-1].exit_code:
        raise SystemExit(bench.said())
    rows.append(bench.execute("verify", "verify", bench.only_run(), "--complete"))
    _say(rows[-1])
    print(bench.said())
    return rows


def _say(row: Row) -> None:
    start = "" if row.start_s is None else f", first request after {row.start_s:.1f} s ({row.start_cpu_s:.1f} s CPU)"
    print(
        f"{row.execution}: exit {row.exit_code}, {row.wall_s:.0f} s wall, {row.cpu_s:.0f} s CPU, "
        f"peak {row.peak_rss_mb:.0f} MB = imports + {row.above_imports_mb:.0f} MB{start}",
        flush=True,
    )


def main() -> None:
    """Measure and print the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1_000_000, help=f"a multiple of {TASKS:,}")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument(
        "--answer-bytes", type=int, default=0, help="of every answer: the peak memory must not grow with it"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    options = parser.parse_args()
    if options.samples < TASKS or options.samples % TASKS:
        parser.error(f"--samples must be a multiple of {TASKS}")
    with tempfile.TemporaryDirectory(prefix="million-") as folder:
        rows = measure(
            Bench(Path(folder), options.samples, options.samples // (options.kills + 1), options.answer_bytes),
            options.kills,
        )
    print(f"{describe_machine()}; {options.samples:,} samples")
    if options.json:
        options.json.write_bytes(orjson.dumps([asdict(row) for row in rows], option=orjson.OPT_INDENT_2))
    sys.exit(max(row.exit_code for row in rows[-2:]))


if __name__ == "__main__":
    main()
