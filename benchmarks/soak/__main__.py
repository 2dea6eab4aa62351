"""Two runs at once that share their keys, for an hour, with faults and kills: what their processes hold must not grow.

`python -m benchmarks.soak [--seconds S] [--kills N] [--json FILE]`, from the folder of the repository. The provider is the simulator in a
process of its own, with eight instances of low quota, so that the whole takes about a fifth of a core. Each run is killed N times and
resumed; at the end both get a Ctrl-C and are verified. Descriptors, threads, asyncio tasks, memory, journal and logs are sampled, and a
line is fitted to each for every execution.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.cores import describe_machine
from benchmarks.friday import FAULTS
from benchmarks.soak.growth import Growth, Sampled, fit_growth, log_rates

ROOT = Path(__file__).resolve().parents[2]
TASKS = 10_000
SAMPLES_PER_S = 20
"""More than both runs get from the quotas: neither comes to its end by itself."""
RPM = 90
"""Of each of the eight instances, for both runs together."""
DEPLOYMENTS = ("m-1", "m-2", "m-3", "m-4", "m-5")
KEYS = ("GATE_0", "GATE_1", "GATE_2")
SECRETS = {"SIMULATOR_KEY": "soak-east", **{name: f"soak-{name}" for name in KEYS}}
STALL_S = 30.0
OUTAGE_EVERY_S, OUTAGE_S = 600.0, 30.0
RUN = {"display": "none", "part_records": 500, "stagger_s": [0, 2], "share": True}
"""Settings of both runs. What else lives as long as a run belongs here, such as a response cache once there is one."""
KILLS_FROM, KILLS_UNTIL, JITTER = 0.2, 0.5, 0.05
"""Shares of the time. No run is killed later, so that its last execution is long."""
PATIENCE_S = 120.0


@dataclass(slots=True)
class Execution:
    """One process of one run: how it ended, and what it held."""

    run: str
    command: str
    exit_code: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    samples: list[Sampled] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """Return the figures with the fitted lines."""
        growth = [asdict(growth) for growth in self.growth]
        return {**asdict(self), "growth": growth, "log_kb_per_hour": log_rates(self.samples)}

    @property
    def growth(self) -> list[Growth]:
        """The line through every quantity."""
        return fit_growth(self.samples)


# ------------------------------------------------------------------ setup
def write_scene(folder: Path, seconds: float) -> None:
    """Write the tasks and the provider's configuration."""
    lines = (orjson.dumps({"id": f"t{n}", "question": f"What is {n} + {n}?", "answer": 2 * n}) for n in range(TASKS))
    (folder / "tasks.jsonl").write_bytes(b"\n".join(lines))
    limits = {"rpm": RPM, "latency": {"ttft_s": 0.3, "itl_s": 0.01, "noise": 0.4}}
    starts = range(1, 1 + int(seconds / OUTAGE_EVERY_S))
    outages = [[at * OUTAGE_EVERY_S, at * OUTAGE_EVERY_S + OUTAGE_S] for at in starts]
    east = {"dialect": "azure", **limits}
    provider = {
        "type": "simulator",
        "deployments": {name: {**east, "outages": outages if name == "m-2" else []} for name in DEPLOYMENTS},
        "keys": dict.fromkeys(KEYS, limits),
        "answers": {"skill": 0.7, "spread": 1.0},
        "faults": {**FAULTS, "stall_s": STALL_S},
    }
    _write(folder / "provider.yaml", {"sim": provider}, {"provider": "sim", "keys": [KEYS[0]]}, seconds)


def write_sweep(folder: Path, url: str, seconds: float) -> None:
    """Write the sweep file of both runs."""
    east = {"type": "azure", "endpoint": url, "api_key_env": "SIMULATOR_KEY"}
    gate = {"type": "gateway", "base_url": f"{url}/v1", "api_key_envs": list(KEYS)}
    routes = [{"provider": "east", "deployments": list(DEPLOYMENTS)}, {"provider": "gate"}]
    model = {"routes": routes, "workers": 10, "timeouts": {"attempt_s": 15.0}}
    _write(folder / "sweep.yaml", {"east": east, "gate": gate}, model, seconds)


def _write(path: Path, providers: dict[str, object], model: dict[str, object], seconds: float) -> None:
    sections = {
        "providers": providers,
        "models": {"m": model},
        "tasks": [{"path": str(path.parent / "tasks.jsonl"), "scorer": "numeric"}],
        "generation": {"max_tokens": 64},
        "sweep": {"epochs": 1 + int(seconds * SAMPLES_PER_S / TASKS)},
        "run": RUN,
    }
    path.write_text(yaml.safe_dump(sections))


def _environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "ORCHESTRATOR_"))}
    return {**kept, **SECRETS, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder / "state")}


@contextmanager
def provider_of(folder: Path) -> Iterator[str]:
    """Start the provider, yield its address, and stop it when the block ends."""
    command = [sys.executable, "-m", "orchestrator", "simulator", "provider.yaml"]
    process = subprocess.Popen(command, cwd=folder, env=_environment(folder), stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield orjson.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.communicate()


# ------------------------------------------------------------------ one run
class Soaked:
    """One of the runs: its folder, its executions and when they are killed."""

    def __init__(self, folder: Path, name: str, kills_s: Sequence[float], every_s: float) -> None:
        self._shared = folder
        self._name = name
        self._kills_s = kills_s
        self._every_s = every_s
        self._output = folder / name
        self.executions: list[Execution] = []
        self.verified = ""

    def live(self, seconds: float) -> None:
        """Run, get killed, resume …, and stop by Ctrl-C after `seconds`; then verify."""
        since = time.monotonic()
        for end_s in [*self._kills_s, seconds]:
            command = ("resume", str(self._path())) if self.executions else ("run", "sweep.yaml", "-o", self._name)
            ends_by = signal.SIGINT if end_s == seconds else signal.SIGKILL
            self.executions.append(self._execute(since + end_s, ends_by, *command))
        self._verify()

    def _path(self) -> Path:
        (path,) = self._output.iterdir()
        return path

    def _execute(self, until: float, ends_by: signal.Signals, *command: str) -> Execution:
        execution, since = Execution(self._name, command[0]), time.monotonic()
        count = self._shared / f"{self._name}.tasks"
        launcher = [sys.executable, "-m", "benchmarks.soak.counted", str(count), str(self._every_s)]
        with (self._shared / f"{self._name}.said").open("ab") as output:
            process = subprocess.Popen(
                [*launcher, *command],
                cwd=self._shared,
                env=_environment(self._shared),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            while (time.monotonic() < until or not execution.samples) and not _has_ended(process.pid):
                time.sleep(max(0.1, min(self._every_s, until - time.monotonic())))
                if (sampled := self._sample(process.pid, count, time.monotonic() - since)) is not None:
                    execution.samples.append(sampled)
            if not _has_ended(process.pid):
                process.send_signal(ends_by)
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = execution.exit_code = os.waitstatus_to_exitcode(status)
        execution.wall_s, execution.cpu_s = time.monotonic() - since, usage.ru_utime + usage.ru_stime
        _say(execution)
        return execution

    def _sample(self, pid: int, count: Path, at_s: float) -> Sampled | None:
        try:
            status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            descriptors, path = len(list(Path(f"/proc/{pid}/fd").iterdir())), self._path()
            memory_kb, threads = int(status["VmRSS"].split()[0]), int(status["Threads"])
            tasks = int(count.read_text())
        except (OSError, KeyError, ValueError):  # it starts, or has just ended
            return None
        log_kb = sum(map(_size_kb, (path / "decisions.jsonl", path / "executions.jsonl")))
        journal_kb, results_kb = (sum(map(_size_kb, (path / name).glob("*"))) for name in ("journal", "results"))
        return Sampled(at_s, memory_kb / 1024, descriptors, threads, tasks, log_kb, journal_kb, results_kb)

    def _verify(self) -> None:
        command = [sys.executable, "-m", "orchestrator", "verify", str(self._path())]
        done = subprocess.run(command, env=_environment(self._shared), cwd=self._shared, capture_output=True, text=True)
        self.verified = done.stdout.splitlines()[0] if done.stdout else done.stderr
        print(f"{self._name}: {self.verified}", flush=True)


def _say(execution: Execution) -> None:
    print(
        f"{execution.run}, {execution.command}: exit {execution.exit_code}, {execution.wall_s:.0f} s wall, "
        f"{execution.cpu_s:.0f} s CPU",
        flush=True,
    )


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _size_kb(path: Path) -> float:
    try:
        return path.stat().st_size / 1024
    except OSError:
        return 0.0


# ------------------------------------------------------------------ both
def soak(folder: Path, seconds: float, kills: int, rng: random.Random) -> list[Soaked]:
    """Live through both runs at once."""
    every_s = max(1.0, min(10.0, seconds / 60))
    drawn = [_draw_kills(seconds, kills, rng) for _ in range(2)]
    both = [Soaked(folder, name, kills_s, every_s) for name, kills_s in zip(("one", "two"), drawn, strict=True)]
    write_scene(folder, seconds)
    with provider_of(folder) as url:
        write_sweep(folder, url, seconds)
        threads = [threading.Thread(target=soaked.live, args=(seconds,)) for soaked in both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds + PATIENCE_S)
    return both


def _draw_kills(seconds: float, kills: int, rng: random.Random) -> list[float]:
    """Draw the times of a run's kills: evenly apart, each a little earlier or later."""
    step = (KILLS_UNTIL - KILLS_FROM) / max(1, kills - 1)
    return [seconds * (KILLS_FROM + number * step + rng.uniform(-JITTER, JITTER)) for number in range(kills)]


def main() -> None:
    """Soak, print the fitted lines, and exit with 1 where something grows or a run is not sound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--kills", type=int, default=2, help="of each run")
    parser.add_argument("--seed", type=int, default=0, help="of the times of the kills")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args()
    print(describe_machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        both = soak(Path(name), options.seconds, options.kills, random.Random(options.seed))
    executions = [execution for soaked in both for execution in soaked.executions]
    for execution in executions:
        for growth in execution.growth:
            verdict = "" if growth.is_flat else ", GROWS"
            print(
                f"{execution.run}, {execution.command}: {growth.quantity} {growth.mean:g} on average, {growth.most:g} at most, "
                f"rises by {growth.rise:g}, {growth.per_hour:g} an hour{verdict}"
            )
    if options.json:
        figures = [execution.as_json() for execution in executions]
        options.json.write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2))
    is_flat = all(growth.is_flat for execution in executions for growth in execution.growth)
    sys.exit(0 if is_flat and all(soaked.verified.startswith("sound") for soaked in both) else 1)


if __name__ == "__main__":
    main()
