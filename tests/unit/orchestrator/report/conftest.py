"""A run directory made of records that a test names, with the decisions that it wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import pytest

from orchestrator.results.run import Run
from orchestrator.results.run_directory.directory import Manifest, RunDirectory
from runners.journal.sinks.open_sink import open_sink
from runners.samples.record import FINAL, Record

MakeRecord = Callable[..., Record]
MakeRun = Callable[..., Run]

FAILED = {"score": 0.0, "grade": "failed", "passed": False, "score_error": "wrong_answer"}
LOST = {
    "outcome": "infra_failure", "error_class": "timeout", "error_message": "sim/m: no answer", "score": None, "grade": None,
    "passed": None, "output_text": None,
}  # fmt: skip


@pytest.fixture
def make_run(tmp_path: Path, make_record: MakeRecord) -> MakeRun:
    """One record for each mapping of differences, numbered in their order."""

    def made(kinds: Sequence[Mapping[str, Any]], decisions: Sequence[Mapping[str, Any]] = ()) -> Run:
        path = tmp_path / "run"
        path.mkdir()
        directory = RunDirectory(path)
        directory.write_manifest(Manifest("r", {"run": {"seed": 3}}, "/", "parquet", len(kinds), "f", {}))
        records = [
            make_record(**{"ordinal": n, "sample_id": f"s{n}", "task_id": f"t{n}", **kind})
            for n, kind in enumerate(kinds)
        ]
        sink = open_sink("parquet", directory.results)
        sink.write_part(1, [asdict(one) for one in records if one.outcome in FINAL])
        sink.write_unresolved([asdict(one) for one in records if one.outcome not in FINAL])
        directory.decisions.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in decisions))
        return Run.load(path)

    return made
