"""One trial: a run is interrupted, perhaps its resume too; the last resume completes it, and the records are compared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..fork_server import ForkServer, Order
from .points import require_points
from .provider import KIND, announce_provider
from .stored_records import Row, balance, content, final_rows

SAMPLES = 300
PART_RECORDS = 50
LATENCY_S = 0.02
PATIENCE_S = 60.0
INTERRUPTED = 130
REFUSED = 2


@dataclass(frozen=True, slots=True)
class Blow:
    """How an execution is ended: at an operation that its launcher watches, by a signal after some time, or not at all.

    With both, the signal is the one that the launcher sends.
    """

    name: str
    watch: Mapping[str, object] = field(default_factory=dict)
    signal: int | None = None
    after_s: float = 0.0


NONE = Blow("none")


@dataclass(frozen=True, slots=True)
class Trial:
    """The interruptions of one run."""

    form: str
    blows: Sequence[Blow]

    @property
    def name(self) -> str:
        """The names of the interruptions, joined."""
        return ", then ".join(blow.name for blow in self.blows)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a trial; the fields are columns of the table."""

    kind: str
    form: str
    second: str
    hits: int
    """Interruptions that came before the execution ended by itself."""
    lost: int
    duplicated: int
    refused: int
    differing: int
    unresolved: int
    litter: int
    seconds: float
    complaint: str = ""

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, duplicated, refused or different."""
        return not (self.lost or self.duplicated or self.refused or self.differing or self.unresolved or self.complaint)


@dataclass(frozen=True, slots=True)
class Reference:
    """An undisturbed run and its resume: its operations, its duration and its records."""

    seen: Mapping[str, int]
    took_s: float
    content: Mapping[str, Row]


class Workshop:
    """A folder with the sweep, used as `with Workshop(folder)`; every trial runs in a folder of its own below it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._forks = ForkServer(f"{__package__}.provider")
        announce_provider(folder)
        self._sweep = folder / "sweep.yaml"
        self._write_sweep()

    def _write_sweep(self) -> None:
        lines = [
            json.dumps({"id": f"t{n}", "question": f"What is {n} + {n}?", "answer": 2 * n}) for n in range(SAMPLES)
        ]
        (self._folder / "tasks.jsonl").write_text("\n".join(lines) + "\n")
        sections = {
            "providers": {"local": {"type": KIND, "deployments": ["m-1", "m-2"], "latency_s": LATENCY_S}},
            "models": {"m": {"provider": "local", "deployments": ["m-1", "m-2"], "workers": 4}},
            "tasks": [{"path": "tasks.jsonl", "scorer": "numeric"}],
            "run": {"part_records": PART_RECORDS, "stagger_s": [0], "max_retries": 0, "display": "none"},
        }
        self._sweep.write_text(json.dumps(sections))  # JSON is YAML

    def __enter__(self) -> Workshop:
        return self

    def __exit__(self, *_: object) -> None:
        self._forks.__exit__()

    def refer(self, form: str) -> Reference:
        """Run once without an interruption. Raises NoSuchPoint where the write path has lost a point."""
        bench, record = self.bench(f"reference-{form}"), self._folder / f"operations-{form}.json"
        since = time.monotonic()
        bench.execute(Blow("recorded", {"record": str(record)}), *bench.start_command(form))
        took_s = time.monotonic() - since
        seen = json.loads(record.read_bytes())
        require_points(form, seen)
        bench.execute(NONE, *bench.resume_command())
        rows = final_rows(bench.run())
        if len(rows) != SAMPLES:
            raise RuntimeError(f"an undisturbed run ended with {len(rows)} of {SAMPLES} samples: {bench.last_words}")
        return Reference(seen, took_s, content(rows))

    def perform(self, trial: Trial, reference: Reference, number: int) -> Outcome:
        """Run one trial and compare its records with the reference."""
        bench, since = self.bench(f"trial-{number:04}"), time.monotonic()
        first, *later = trial.blows
        bench.execute(first, *bench.start_command(trial.form))
        for blow in later:
            bench.execute(blow, *(bench.resume_command(storm=2) or bench.start_command(trial.form)))
        if not bench.resume_command():  # ended before the plan was stored: there is no run to resume, so start again
            bench.execute(NONE, *bench.start_command(trial.form))
        code = bench.execute(NONE, *bench.resume_command())
        bench.require_verified()
        refused = code == REFUSED
        compared = balance(bench.run(), dict(reference.content))
        return Outcome(
            first.name, trial.form, later[0].name if later else "", bench.hits,
            compared.lost, compared.duplicated, int(refused), compared.differing, compared.unresolved, compared.litter,
            round(time.monotonic() - since, 2), "; ".join(bench.complaints),
        )  # fmt: skip

    def bench(self, name: str) -> Bench:
        """Create a folder for one run."""
        folder = self._folder / name
        folder.mkdir()
        return Bench(folder, self._sweep, self._forks)


class Bench:
    """The executions of one run."""

    def __init__(self, folder: Path, sweep: Path, forks: ForkServer) -> None:
        self.hits = 0
        self.complaints: list[str] = []
        self.last_words = ""
        self._folder = folder
        self._sweep = sweep
        self._path = str(sweep.parent)
        self._forks = forks

    def run(self) -> Path:
        """Return the run directory."""
        (manifest,) = self._manifests()
        return manifest.parent

    def start_command(self, form: str) -> list[str]:
        """Build the command that starts the run."""
        return [
            "run",
            str(self._sweep),
            "--set",
            f"run.storage_format={form}",
            "-o",
            str(self._folder),
            *_weather(1),
        ]

    def resume_command(self, *, storm: int = 0) -> list[str]:
        """Build the command that resumes the run; empty where there is no run."""
        return ["resume", str(self.run()), *_weather(storm)] if self._manifests() else []

    def execute(self, blow: Blow, *command: str) -> int:
        """Run a command to its end or to the interruption; note a complaint where the interruption does not explain how it ended."""
        output = self._folder / "said"
        arguments = [json.dumps(blow.watch), *command]
        order = Order(f"{__package__}.launcher", arguments, self._environment(), self._path, str(self._folder))
        with output.open("wb") as file:
            process = self._forks.start(order, file.fileno(), file.fileno())
        timer = (
            threading.Timer(blow.after_s, process.send_signal, (blow.signal,))
            if blow.signal and not blow.watch
            else None
        )
        if timer is not None:
            timer.start()
        try:
            code = process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            code = process.wait(PATIENCE_S)
            self.complaints.append(f"{command[0]} hung after {blow.name}")
        finally:
            if timer is not None:
                timer.cancel()
        self.last_words = output.read_text()
        self._judge(blow, command[0], code)
        return code

    def require_verified(self) -> None:
        """Check the files with the program's own `verify`, besides our reading of them."""
        if self.execute(NONE, "verify", str(self.run()), "--complete"):
            self.complaints.append(f"verify says: {self.last_words.splitlines()[0]}")

    def _judge(self, blow: Blow, command: str, code: int) -> None:
        was_killed, was_stopped = code == -signal.SIGKILL, code in {INTERRUPTED, -(blow.signal or 0)}
        self.hits += was_killed or (blow.signal is not None and was_stopped)
        if code in {0, 1} or was_killed or (blow.signal and was_stopped):
            return
        output_lines = self.last_words.strip().splitlines()
        self.complaints.append(
            f"{command} ended with {code} after {blow.name}: {output_lines[-1] if output_lines else 'no word'}"
        )

    def _manifests(self) -> list[Path]:
        return list(self._folder.glob("*/manifest.json"))

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "XDG_STATE_HOME": str(self._folder / "state")}


def _weather(storm: int) -> list[str]:
    return ["--set", f"providers.local.storm={storm}"]
