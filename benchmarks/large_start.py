"""The start of a large run: how long a scan of its tasks takes, and a resume until its first request. All figures are CPU time.

`python -m benchmarks.large_start scan|resume [--tasks N] [--repetitions N]`, from the folder of the repository. `scan` opens a file of N
tasks in all four kinds: JSON Lines and Parquet, with prompts and with messages. `resume` writes a run directory of which 70 % is done, and
resumes it with a provider that answers at once, which notes the first request and then ends the process. Every figure is that of a fresh
process; the least of the repetitions counts, because other work on the machine makes a process slower.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.cores import describe_machine
from benchmarks.half_done import HalfDone

PASSAGE = (
    "A passage of plain English that a question is asked about, as evaluation sets have them by the thousand. " * 2
)
CHUNK = 50_000
"""Rows that are written at once."""
SCAN = """
import sys, time
from pathlib import Path
from sharding.tasks.sources import SourceSpec, open_tasks
started = time.process_time()
open_tasks([SourceSpec(Path(sys.argv[1]))])
print(time.process_time() - started)
"""


def task_rows(first: int, last: int, *, has_messages: bool) -> list[dict[str, object]]:
    """Build rows of the usual file: id, prompt or messages, target, and a few columns more."""
    return [_row(number, has_messages=has_messages) for number in range(first, last)]


def _row(number: int, *, has_messages: bool) -> dict[str, object]:
    question = f"{PASSAGE}What is {number} and {number % 97}?"
    messages = [{"role": "system", "content": "Reason briefly."}, {"role": "user", "content": question}]
    return {
        "id": f"task-{number}",
        **({"messages": messages} if has_messages else {"question": question}),
        "target": str(number + number % 97),
        "task_type": ("words", "arithmetic")[number % 2],
        "difficulty": ("easy", "medium", "hard")[number % 3],
        "source": f"set-{number % 11}",
        "year": 2000 + number % 25,
    }


def write_tasks(path: Path, tasks: int, *, has_messages: bool = False) -> Path:
    """Write a task file of the kind that its suffix says."""
    chunks = (
        task_rows(first, min(first + CHUNK, tasks), has_messages=has_messages) for first in range(0, tasks, CHUNK)
    )
    if path.suffix == ".jsonl":
        with path.open("wb") as file:
            for rows in chunks:
                file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
        return path
    tables = map(pa.Table.from_pylist, chunks)
    first = next(tables)
    with pq.ParquetWriter(path, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)
    return path


def scans(folder: Path, tasks: int, repetitions: int) -> Iterator[str]:
    """Scan every kind of file."""
    for suffix in (".jsonl", ".parquet"):
        for has_messages in (False, True):
            path = write_tasks(folder / f"tasks{suffix}", tasks, has_messages=has_messages)
            times = [
                float(subprocess.run([sys.executable, "-c", SCAN, path], capture_output=True, check=True).stdout)
                for _ in range(repetitions)
            ]
            asked = "messages" if has_messages else "prompts"
            yield f"scan of {tasks:,} tasks, {suffix[1:]} with {asked}: {min(times):.2f} s CPU (all: {_listed(times)})"
            path.unlink()


def resumes(folder: Path, tasks: int, repetitions: int) -> Iterator[str]:
    """Resume a run of which 70 % is done."""
    path = write_tasks(folder / "tasks.jsonl", tasks)
    run = HalfDone(folder, path)
    done = run.fill(tasks * 7 // 10)
    times = [run.resume_until_first_request() for _ in range(repetitions)]
    yield f"resume of {tasks:,} samples, {done:,} done, to the first request: {min(times):.2f} s CPU (all: {_listed(times)})"


def _listed(times: list[float]) -> str:
    return ", ".join(f"{time:.2f}" for time in times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", choices=("scan", "resume"))
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    measured = {"scan": scans, "resume": resumes}[options.figure]
    with tempfile.TemporaryDirectory(prefix="large-start-") as folder:
        for line in measured(Path(folder), options.tasks, options.repetitions):
            print(line, flush=True)
    print(describe_machine())


if __name__ == "__main__":
    main()
