"""One trial: a run is interrupted, perhaps its resume too; the last resume completes it, and the records are compared."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..fork_server import ForkServer, Order
from .points import Stage, require_points
from .provider import KIND, announce_provider
from .starts import Start
from .stored_records import Balance, Row, balance, content, final_rows

SAMPLES = 300
PART_RECORDS = 50
LATENCY_S = 0.02
PATIENCE_S = 60.0
INTERRUPTED = 130
REFUSED = 2
WRITE_RECORDS = "segment: write records"


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
    stage: Stage = "run"

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
    redone: int
    """Samples that were sound before the command and were run again."""
    seconds: float
    complaint: str = ""

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, duplicated, refused or different."""
        return not (
            self.lost
            or self.duplicated
            or self.refused
            or self.differing
            or self.unresolved
            or self.redone
            or self.complaint
        )


@dataclass(frozen=True, slots=True)
class Reference:
    """An undisturbed run and its resume: its records, and the starts of the trials."""

    content: Mapping[str, Row]
    starts: Mapping[Stage, Start]


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
        """Run every stage once without an interruption. Raises NoSuchPoint where the write path has lost a point."""
        bench = self.bench(f"reference-{form}")
        starts: dict[Stage, Start] = {"run": self._record(bench, "run", form, Start({}, 0.0, None))}
        bench.execute(NONE, *bench.command("resume", form))
        rows = final_rows(bench.run())
        if len(rows) != SAMPLES:
            raise RuntimeError(f"an undisturbed run ended with {len(rows)} of {SAMPLES} samples: {bench.last_words}")
        killed = self.bench(f"killed-{form}")
        half_way = {"operation": WRITE_RECORDS, "when": "after", "number": starts["run"].seen[WRITE_RECORDS] // 2}
        killed.execute(Blow("half way", half_way), *killed.command("run", form))
        stages: tuple[tuple[Stage, Path], ...] = (
            ("resume", killed.run()), ("repair", bench.run()), ("rescore", bench.run()),
        )  # fmt: skip
        for stage, run in stages:
            recorded = self.bench(f"reference-{form}-{stage}")
            starts[stage] = self._record(recorded, stage, form, Start({}, 0.0, run))
        return Reference(content(rows), starts)

    def _record(self, bench: Bench, stage: Stage, form: str, start: Start) -> Start:
        """Run the command of a stage and record its operations."""
        bench.begin(start, stage, form)
        record, since = self._folder / f"operations-{form}-{stage}.json", time.monotonic()
        bench.execute(Blow("recorded", {"record": str(record)}), *bench.command(stage, form))
        took_s, seen = time.monotonic() - since, json.loads(record.read_bytes())
        require_points(form, seen, stage)
        return Start(seen, took_s, start.run)

    def perform(self, trial: Trial, reference: Reference, number: int) -> Outcome:
        """Run one trial and compare its records with the reference."""
        bench, since, stage = self.bench(f"trial-{number:04}"), time.monotonic(), trial.stage
        kept = bench.begin(reference.starts[stage], stage, str(number))
        first, *later = trial.blows
        bench.execute(first, *bench.command(stage, trial.form))
        for blow in later:
            bench.execute(blow, *bench.command(stage, trial.form, storm=2))
        if not bench.has_run():  # ended before the plan was stored: there is no run to resume, so start again
            bench.execute(NONE, *bench.command("run", trial.form))
        code = bench.execute(NONE, *bench.command(stage, trial.form, storm=0))
        runs = bench.runs()
        for run in runs:
            bench.require_verified(run)
        compared = [balance(run, dict(reference.content)) for run in runs]
        rows = {row["sample_id"]: row for row in final_rows(bench.run())}
        return _outcome(trial, bench, compared, (
            int(code == REFUSED), sum(rows.get(sample) != row for sample, row in kept.items()), round(time.monotonic() - since, 2),
        ))  # fmt: skip

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

    def begin(self, start: Start, stage: Stage, seed: str) -> dict[str, Row]:
        """Copy what the stage starts from. Returns the rows that must stay as they are."""
        return start.copy_to(self._folder, stage, random.Random(seed))

    def run(self) -> Path:
        """Return the run directory."""
        return self.runs()[0]

    def runs(self) -> list[Path]:
        """Return the run directory and those that were made of it by `rescore`."""
        return sorted(path.parent for path in self._folder.glob("[!.]*/manifest.json"))

    def has_run(self) -> bool:
        """Whether there is a run to resume."""
        return bool(self.runs())

    def command(self, stage: Stage, form: str, *, storm: int | None = None) -> list[str]:
        """Build the command of a stage, or with a storm that of the next try: a run that exists is resumed."""
        if stage == "run" and (storm is None or not self.has_run()):
            settings = ["--set", f"run.storage_format={form}", "-o", str(self._folder)]
            return ["run", str(self._sweep), *settings, *_weather(1)]
        if stage == "rescore":
            return ["rescore", str(self.run())]
        return ["resume", str(self.run()), *(["--repair"] if stage == "repair" else []), *_weather(storm or 0)]

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

    def require_verified(self, run: Path) -> None:
        """Check the files with the program's own `verify`, besides our reading of them."""
        if self.execute(NONE, "verify", str(run), "--complete"):
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

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "XDG_STATE_HOME": str(self._folder / "state"), "ORCHESTRATOR_TRUST": "1"}


def _weather(storm: int) -> list[str]:
    return ["--set", f"providers.local.storm={storm}"]


def _outcome(trial: Trial, bench: Bench, compared: Sequence[Balance], counts: tuple[int, int, float]) -> Outcome:
    """Sum what was found in the run directory and in those that `rescore` made of it."""
    first, second = (*(blow.name for blow in trial.blows), "")[:2]
    sums = (
        sum(getattr(found, name) for found in compared)
        for name in ("lost", "duplicated", "differing", "unresolved", "litter")
    )
    lost, duplicated, differing, unresolved, litter = sums
    refused, redone, seconds = counts
    return Outcome(
        first, trial.form, second, bench.hits, lost, duplicated, refused, differing, unresolved, litter, redone, seconds,
        "; ".join(bench.complaints),
    )  # fmt: skip
