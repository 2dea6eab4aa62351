"""One trial: a command runs on a disk that fails at one call; then what it said is read, and the run is verified and completed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..crash_matrix.provider import KIND, announce_provider
from ..crash_matrix.stored_records import Row, balance, content, final_rows
from ..fork_server import ForkServer, Order
from .failing import READING

SAMPLES = 24
PART_RECORDS = 8
PATIENCE_S = 60.0
FORMS = ("parquet", "json")
MARKS = ("Traceback", "Logging error", "Exception ignored", "exception was never retrieved")
"""Words of an output that is meant for the author of the program."""

CALM = ("--set", "providers.local.storm=0")
"""Lets every request succeed."""

Fault = tuple[int, bool]
"""The error, and whether it stays."""
FULL: tuple[Fault, ...] = ((errno.ENOSPC, True), (errno.EDQUOT, False), (errno.EIO, False), (errno.EIO, True))
FAULTS: Mapping[str, tuple[Fault, ...]] = {
    "flock": ((errno.ENOLCK, False), (errno.EOPNOTSUPP, False), (errno.EIO, False)),
    READING: ((errno.EIO, False),),
    "fsync": FULL,
    "write": FULL,
}
ANY_CALL: tuple[Fault, ...] = (*FULL, (errno.EROFS, True))


@dataclass(frozen=True, slots=True)
class Scene:
    """A command, and how the folder in which it runs is prepared."""

    name: str
    command: Callable[[Folder], Sequence[str]]
    prepare: Callable[[Folder], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """How one process ended, what it said, and which calls it made."""

    code: int
    output: str
    calls: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class FaultOutcome:
    """The result of a trial; the fields are columns of the table."""

    scene: str
    form: str
    call: str
    file: str
    error: str
    stays: bool
    code: int
    sentence: str
    fault: str
    """What is not as it must be; empty where all is good."""


class Folder:
    """A folder with the sweep of a trial, its runs and its state directory."""

    def __init__(self, path: Path, form: str, forks: ForkServer, packages: Path) -> None:
        self.path, self.form = path, form
        self._forks, self._packages = forks, packages

    def run(self) -> Path | None:
        """Return the one run that has a manifest, beside rescored ones."""
        manifests = sorted(path.parent for path in self.path.glob("runs/[0-9]*/manifest.json"))
        return next((path for path in manifests if "rescored" not in path.name), None)

    def start(self, *more: str) -> list[str]:
        """Build the command that starts the run."""
        return ["run", "sweep.yaml", "--set", f"run.storage_format={self.form}", *more]

    def call(self, *command: str, number: int = 0, fault: Fault = (0, False), named: Sequence[str] = ()) -> Answer:
        """Run a command; its n-th call on a file of this folder fails, or its n-th of those `named`."""
        record = self.path.with_name(f"{self.path.name}.calls")
        disk = {"root": str(self.path), "number": number, "error": fault[0], "stays": fault[1], "named": named}
        disk["record"] = str(record)
        output = self.path.with_name(f"{self.path.name}.said")
        environment = {**os.environ, "XDG_STATE_HOME": str(self.path / "state"), "ORCHESTRATOR_TRUST": "1"}
        arguments = [json.dumps(disk), *command]
        order = Order(f"{__package__}.launcher", arguments, environment, str(self._packages), str(self.path))
        with output.open("wb") as file:
            process = self._forks.start(order, file.fileno(), file.fileno())
        try:
            code = process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.send_signal(9)
            code = process.wait(PATIENCE_S)
        calls = [tuple(call) for call in json.loads(record.read_bytes() or b"[]")]
        return Answer(code, output.read_text(errors="replace"), calls)


def write_sweep(path: Path) -> None:
    """Write the sweep and its tasks into a folder."""
    path.mkdir(parents=True)
    lines = [json.dumps({"id": f"t{n}", "question": f"What is {n} + {n}?", "answer": 2 * n}) for n in range(SAMPLES)]
    (path / "tasks.jsonl").write_text("\n".join(lines) + "\n")
    sections = {
        "providers": {"local": {"type": KIND, "deployments": ["m-1", "m-2"], "latency_s": 0.01}},
        "models": {"m": {"provider": "local", "deployments": ["m-1", "m-2"], "workers": 4}},
        "tasks": [{"path": "tasks.jsonl", "scorer": "numeric"}],
        "run": {"part_records": PART_RECORDS, "stagger_s": [0], "max_retries": 0, "display": "none"},
    }
    (path / "sweep.yaml").write_text(json.dumps(sections))  # JSON is YAML


class Workplace:
    """A folder in which the scenes are prepared once and copied for every trial, used as `with Workplace(folder)`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._forks = ForkServer("benchmarks.crash_matrix.provider")
        announce_provider(path)
        self._wanted: dict[str, Mapping[str, Row]] = {}
        self._prepared: dict[tuple[str, str], Folder] = {}

    def __enter__(self) -> Workplace:
        return self

    def __exit__(self, *_: object) -> None:
        self._forks.__exit__()

    def prepared(self, scene: Scene, form: str) -> Folder:
        """Prepare the folder of a scene, once."""
        if (scene.name, form) in self._prepared:
            return self._prepared[scene.name, form]
        folder = Folder(self._path / f"{scene.name.replace(' ', '_')}-{form}", form, self._forks, self._path)
        write_sweep(folder.path)
        scene.prepare(folder)
        self._prepared[scene.name, form] = folder
        return folder

    def wanted(self, form: str) -> Mapping[str, Row]:
        """Return the records of an undisturbed run."""
        if form not in self._wanted:
            folder = Folder(self._path / f"undisturbed-{form}", form, self._forks, self._path)
            write_sweep(folder.path)
            folder.call(*folder.start())
            self._wanted[form] = content(final_rows(_found(folder)))
        return self._wanted[form]

    def calls(self, scene: Scene, template: Folder) -> Sequence[tuple[str, str]]:
        """Return the calls that the command makes on a disk that works."""
        folder = self._copied(template)
        try:
            return folder.call(*scene.command(folder)).calls
        finally:
            shutil.rmtree(folder.path)

    def perform(
        self, scene: Scene, template: Folder, number: int, fault: Fault, named: Sequence[str] = ()
    ) -> FaultOutcome | None:
        """Let one call fail, the n-th of all or of those `named`; None where the command came to its end before it."""
        folder = self._copied(template)
        try:
            answer = folder.call(*scene.command(folder), number=number, fault=fault, named=named)
            if sum(not named or made == tuple(named) for made in answer.calls) < number:
                return None
            faults = [*_spoken_faults(answer), *self._left_faults(folder)]
            call, file = named or answer.calls[number - 1]
            name = errno.errorcode[fault[0]]
            sentence = _sentence(answer)
            return FaultOutcome(
                scene.name, template.form, call, file, name, fault[1], answer.code, sentence, "; ".join(faults)
            )
        finally:
            shutil.rmtree(folder.path)

    def _copied(self, template: Folder) -> Folder:
        path = template.path.with_name(f"{template.path.name}-trial")
        shutil.copytree(template.path, path, symlinks=True)
        return Folder(path, template.form, self._forks, self._path)

    def _left_faults(self, folder: Folder) -> list[str]:
        """Verify and complete the run; return what is wrong with it."""
        run = folder.run()
        if run is None:
            folder.call(*folder.start())
        else:
            repairs = ["--repair"] if (folder.path / "damaged").exists() else []
            verified = folder.call("verify", str(run))
            if verified.code and not repairs:
                return [f"verify {verified.code}: {verified.output.splitlines()[0]}"]
            resumed = folder.call("resume", str(run), *CALM, *repairs)
            if resumed.code not in {0, 1}:
                return [f"resume {resumed.code}: {resumed.output.splitlines()[-1]}"]
        verified = folder.call("verify", str(_found(folder)), "--complete")
        compared = balance(_found(folder), dict(self.wanted(folder.form)))
        bad = [] if verified.code == 0 else [f"verify at the end: {verified.output.splitlines()[0]}"]
        return bad if compared.is_even and not compared.litter else [*bad, str(compared)]


def _found(folder: Folder) -> Path:
    run = folder.run()
    if run is None:
        raise RuntimeError(f"{folder.path} has no run")
    return run


def _spoken_faults(answer: Answer) -> list[str]:
    said = [mark for mark in MARKS if mark in answer.output]
    if answer.code not in {0, 2, 3}:
        said.append(f"exit code {answer.code}")
    sentences = sum(line.startswith("error: ") for line in answer.output.splitlines())
    if answer.code in {2, 3} and sentences != 1:
        said.append(f"{sentences} sentences")
    return said


def _sentence(answer: Answer) -> str:
    lines = answer.output.splitlines()
    told = [line for line in lines if line.startswith(("error: ", "warning: "))]
    return next(iter(told), lines[-1] if answer.code and lines else "")
