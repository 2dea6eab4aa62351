"""A run directory of which a part is done: one real record of a run that was killed, copied for as many samples as wanted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import orjson
import yaml

from orchestrator.results.run_directory.directory import RunDirectory
from orchestrator.results.verify.row_identity import grid_of
from runners.journal.frames import rows as journal_rows
from runners.journal.sinks.open_sink import open_sink
from runners.journal.sinks.sink import Row

ROOT = Path(__file__).resolve().parent.parent
ENTRY_POINT = "[orchestrator.providers]\ninstant = benchmarks.instant:INSTANT\n"
KILLED_AFTER = 2_000
"""Requests of the first execution, of which some are in the journal then."""
PART_RECORDS = 20_000


class HalfDone:
    """A run over a task file, with a provider that answers at once and can kill the process."""

    def __init__(self, folder: Path, tasks: Path) -> None:
        """Start the run and kill it."""
        self._folder = folder
        self._first_send = folder / "first_send"
        info = folder / "site" / "instant-1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: instant\nVersion: 1\n")
        (info / "entry_points.txt").write_text(ENTRY_POINT)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ORCHESTRATOR_"))}
        paths = os.pathsep.join([str(ROOT), str(folder / "site")])
        self._environment = {
            **kept,
            "PYTHONPATH": paths,
            "XDG_STATE_HOME": str(folder / "state"),
            "ORCHESTRATOR_TRUST": "1",
        }
        self._write("killed.yaml", tasks, KILLED_AFTER)
        self._write("ended.yaml", tasks, 1)
        self._execute("run", "killed.yaml")
        (path,) = (folder / "runs").iterdir()
        self._directory = RunDirectory(path)

    def fill(self, done: int) -> int:
        """Store the first `done` samples as parts, in the place of the journal; return their number."""
        manifest = self._directory.read_manifest()
        (segment,) = self._directory.journal.glob("0*.log")
        model = next(row for row in journal_rows(segment) if "ordinal" in row)
        segment.unlink()
        grid, sink = grid_of(manifest), open_sink(manifest.storage_format, self._directory.results)
        ids = self._task_ids()

        def record(ordinal: int) -> Row:
            task_id = next(ids)
            return {
                **model,
                "ordinal": ordinal,
                "task_id": task_id,
                "sample_id": grid.digest(0, task_id, 0).hex(),
                "seed": grid.seed(task_id, 0),
                "write_s": 0.01,
            }

        records = map(record, range(done))
        for number in range(1, -(-done // PART_RECORDS) + 1):
            sink.write_part(number, islice(records, PART_RECORDS))
        return done

    def _task_ids(self) -> Iterator[str]:
        with (self._folder / "tasks.jsonl").open("rb") as file:
            for line in file:
                yield str(orjson.loads(line)["id"])

    def resume_until_first_request(self) -> float:
        """Resume; return the CPU seconds until the first request. What the execution left is removed."""
        before = {path: path.read_bytes() for path in self._directory.journal.iterdir()}
        self._first_send.unlink(missing_ok=True)
        self._execute("resume", str(self._directory.path), "-c", "ended.yaml")
        for path in self._directory.journal.iterdir():
            path.unlink()
        for path, content in before.items():
            path.write_bytes(content)
        return float(self._first_send.read_text().split()[1])

    def _execute(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "orchestrator", *arguments]
        ended = subprocess.run(command, cwd=self._folder, env=self._environment, capture_output=True, check=False)
        if not self._first_send.exists():
            raise SystemExit(ended.stderr.decode())

    def _write(self, name: str, tasks: Path, die_after: int) -> None:
        sections: dict[str, object] = {
            "providers": {"own": {"type": "instant", "first_send": str(self._first_send), "die_after": die_after}},
            "models": {"m": {"provider": "own", "deployments": ["m-1", "m-2", "m-3"], "workers": 100}},
            "tasks": [{"path": tasks.name, "scorer": "includes"}],
            "run": {"stagger_s": [0], "display": "none"},
        }
        (self._folder / name).write_text(yaml.safe_dump(sections))
