"""Summarise and compare a million records: time and memory.

`python -m benchmarks.summary [--records N] [--distinct] [--json FILE]`, from the folder of the repository. Two models answer the same tasks
under two prompt types; the run's own sink writes the records as parts of a run. Every figure comes from a process of its own: the summary
by model and prompt type with its intervals, the comparison of the two models, and the imports alone, to be subtracted. By default each task
runs in ten epochs, so that the tasks are clusters; with `--distinct` every task runs once.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.cores import describe_machine
from orchestrator.results.run_directory.directory import Manifest, RunDirectory
from runners.instants import instant
from runners.journal.sinks.open_sink import open_sink
from runners.samples.record import Record

ROOT = Path(__file__).resolve().parent.parent
MODELS, PROMPT_TYPES = ("model-a", "model-b"), ("baseline", "cot")
SKILL = {"model-a": 0.55, "model-b": 0.57}
PART = 20_000
ANSWER = "Let me think this through. " * 8
AT = 1_763_717_400.0

MEASURED = {
    "imports": "import pyarrow.parquet, numpy, scipy.special\n"
    "import orchestrator.results.compare.comparison, orchestrator.results.summaries.summary",
    "summary": "rows = Run.load(path).summary(['model', 'prompt_type']); assert len(rows) == 4; print(rows.to_markdown())",
    "summary, whole hierarchy": "rows = Run.load(path).summary(); assert len(rows) == 4",
    "compare": "found = Run.load(path).compare(axis='model'); print(found.to_markdown())",
    "compare by prompt type": "found = Run.load(path).compare(axis='model', by=['prompt_type']); print(found.to_markdown())",
}
HARNESS = """
import json, resource, sys, time
path = sys.argv[1]
from orchestrator.results import Run
since, used = time.perf_counter(), time.process_time()
{code}
took_s, cpu_s = time.perf_counter() - since, time.process_time() - used
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([took_s, cpu_s, peak]))
"""


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one process."""

    measured: str
    n: int
    clusters: int
    wall_s: float
    cpu_s: float
    peak_rss_mb: float
    machine: str


def write_run(path: Path, records: int, epochs: int) -> None:
    """Write a run directory with `records` finished samples."""
    path.mkdir()
    directory = RunDirectory(path)
    directory.write_manifest(Manifest("bench", {}, str(path), "parquet", records, "bench", {}))
    sink, rows = open_sink("parquet", directory.results), _rows(records, epochs)
    for number in range(1, records // PART + 1):
        sink.write_part(number, (next(rows) for _ in range(PART)))


def _rows(records: int, epochs: int) -> Iterator[dict[str, object]]:
    tasks = records // (len(MODELS) * len(PROMPT_TYPES) * epochs)
    draws, at, usual = random.Random(0), instant(AT), _usual()
    places = ((m, p, e, t) for m in MODELS for p in PROMPT_TYPES for e in range(epochs) for t in range(tasks))
    for ordinal, (model, prompt_type, epoch, task) in enumerate(places):
        is_right = draws.random() < SKILL[model]
        yield {
            **usual,
            "ordinal": ordinal,
            "cell_id": f"{model}|{prompt_type}|1|default|default",
            "sample_id": f"{ordinal:024x}",
            "task_id": f"tasks-{task + 1}",
            "epoch": epoch,
            "model": model,
            "prompt_type": prompt_type,
            "score": float(is_right),
            "grade": "full" if is_right else "failed",
            "passed": is_right,
            "score_error": None if is_right else "wrong_answer",
            "input": f"What is {task} + {task}?",
            "output_text": f"{ANSWER}{ordinal}",
            "working_s": 1 + draws.random(),
            "started_at": at,
        }


def _usual() -> dict[str, object]:
    """Build the values that all rows share; other columns get the empty value of their type."""
    nothing = {"str": "", "int": 0, "float": 0.0, "bool": False, "Instant": instant(AT)}
    types = {name: str(field.type) for name, field in Record.__dataclass_fields__.items()}
    values: dict[str, object] = {name: None if " | " in kind else nothing[kind] for name, kind in types.items()}
    return {**values, "run_id": "bench", "outcome": "ok", "difficulty": "default", "task_type": "default", "turns": 1}


def measure(path: Path, name: str, shape: tuple[int, int]) -> Row:
    """Run one measurement in a process of its own."""
    command = [sys.executable, "-c", HARNESS.format(code=MEASURED[name]), str(path)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    *output_lines, figures = done.stdout.splitlines()
    print("\n".join(output_lines))
    wall_s, cpu_s, peak_rss_mb = orjson.loads(figures)
    return Row(name, *shape, wall_s, cpu_s, peak_rss_mb, describe_machine())


def main() -> None:
    """Measure and print the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000, help=f"a multiple of {2 * PART:,}")
    parser.add_argument("--distinct", action="store_true", help="one epoch: the maximum number of clusters")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    options = parser.parse_args()
    if options.records < 2 * PART or options.records % (2 * PART):
        parser.error(f"--records must be a multiple of {2 * PART}")
    epochs = 1 if options.distinct else 10
    shape = (options.records, options.records // (len(MODELS) * len(PROMPT_TYPES) * epochs))
    with tempfile.TemporaryDirectory(prefix="summary-") as folder:
        path = Path(folder) / "run"
        write_run(path, options.records, epochs)
        rows = [measure(path, name, shape) for name in MEASURED]
    print(f"{describe_machine()}; {options.records:,} records of {shape[1]:,} tasks")
    for row in rows:
        print(f"{row.measured:26} {row.wall_s:6.2f} s wall {row.cpu_s:6.2f} s CPU   peak {row.peak_rss_mb:5.0f} MB")
    if options.json:
        options.json.write_bytes(orjson.dumps([asdict(row) for row in rows], option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
