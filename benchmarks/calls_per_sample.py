"""The calls that one sample takes: our whole pipeline and the minimal client, each on one event loop and a connection in memory.

`python -m benchmarks.calls_per_sample [--profile] [--json FILE]`, from the folder of the repository. Calls are exact where CPU times are
noise, so a test holds them (`tests/unit/benchmarks/test_calls_per_sample.py`).

What runs: the public `orchestrator.run` from the task file to the result part, with plan, queue, permit, client, transport, wire format,
scorer, record and journal; against the server of `lean_server`. What is counted (sys.setprofile): calls of Python functions, among them
each resumption of a coroutine, and calls of functions written in C. What is not counted: the server; the connection; the work that goes to
threads (writing and compacting the journal), which has a figure of its own; and the inside of the event loop, because uvloop is written
in C. A call into the loop counts as one C call. The figures are the difference of a long and a short run, per sample.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import selectors
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import CodeType, FrameType

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.client_cost import lean_server, memory_loop
from benchmarks.client_cost.clients import FLOOR, OURS, our_sweep, send_bare
from benchmarks.client_cost.job import Job, require
from benchmarks.client_cost.workloads import WORKLOADS

ROOT = Path(__file__).resolve().parent.parent
DELAY_S = 0.25
_LOOP = frozenset(
    module.__file__ for module in (asyncio.base_events, asyncio.events, asyncio.selector_events, selectors, memory_loop)
)


@dataclass(slots=True)
class Calls:
    """Calls of Python functions and of C functions by the file that they are made in, and those of work for threads."""

    python: Counter[str] = field(default_factory=Counter)
    c: Counter[str] = field(default_factory=Counter)
    off_loop: int = 0


@contextmanager
def counting() -> Iterator[Calls]:
    """Count the calls that this thread makes in the block; the counts are there when it ends."""
    python, c, calls = defaultdict[str, int](int), defaultdict[str, int](int), Calls()
    apart: FrameType | None = None  # the outermost frame of the server, or of work for a thread

    def profile(frame: FrameType, event: str, arg: object) -> None:  # noqa: ARG001 - sys.setprofile's signature
        nonlocal apart
        if apart is not None:
            if event == "return" and frame is apart:
                apart = None
            elif event in _CALL_EVENTS and apart.f_code is _RUN_OFF_LOOP:
                calls.off_loop += 1
        elif event == "call":
            called = frame.f_code.co_filename
            if frame.f_code is _RUN_OFF_LOOP or called == lean_server.__file__:
                apart = frame
            elif called not in _LOOP:
                python[called] += 1
            elif frame.f_back is not None and frame.f_back.f_code.co_filename not in _LOOP:
                c[frame.f_back.f_code.co_filename] += 1
        elif event == "c_call" and frame.f_code.co_filename not in _LOOP:
            c[frame.f_code.co_filename] += 1

    with _without_collections():
        sys.setprofile(profile)
        try:
            yield calls
        finally:
            sys.setprofile(None)
    calls.python.update(python)
    calls.c.update(c)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Keep the cycle collector off, because the callbacks of what it frees are calls at any place."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


_CALL_EVENTS = frozenset({"call", "c_call"})
_RUN_OFF_LOOP: CodeType = memory_loop.run_off_loop.__code__


@dataclass(frozen=True, slots=True)
class CallsPerSample:
    """The calls per sample of one client with one workload."""

    client: str
    mode: str
    workload: str
    python: float
    c: float
    off_loop: float
    """Calls of both kinds in work for threads: writing and compacting the journal."""

    @property
    def total(self) -> float:
        """Calls on the event loop."""
        return self.python + self.c


@dataclass(frozen=True, slots=True)
class Lengths:
    """The samples of the two runs, and those in flight at once."""

    in_flight: int
    short: int
    long: int

    @property
    def samples(self) -> int:
        """The samples that the difference covers."""
        return self.long - self.short


def _lengths(workload: str) -> Lengths:
    """Return enough samples for a steady state: a streamed answer takes as many calls as ten whole ones."""
    return Lengths(20, 40, 80) if WORKLOADS[workload].chunks else Lengths(100, 200, 400)


def count_run(client: str, mode: str, workload: str, n: int) -> Calls:
    """Count the calls of one run of `n` samples."""
    responses = lean_server.all_responses()
    with tempfile.TemporaryDirectory(prefix="calls-") as folder:
        tasks = Path(folder) / "tasks.jsonl"
        tasks.write_bytes(b"".join(map(WORKLOADS[workload].task_line, range(n))))
        job = Job(
            f"http://127.0.0.1:1/{workload}/v1", n, _lengths(workload).in_flight, str(tasks), folder, workload, mode
        )
        with counting() as calls:
            right = memory_loop.run_in_memory(
                _CLIENTS[client](job), lambda: lean_server.ServerConnection(responses, DELAY_S)
            )
    require(right, n)
    return calls


def calls_by_file(client: str, mode: str, workload: str) -> Calls:
    """Return the calls of `Lengths.samples` samples: the difference of two runs, after a run that imports everything."""
    lengths = _lengths(workload)
    count_run(client, mode, workload, 1)
    short, long = (count_run(client, mode, workload, n) for n in (lengths.short, lengths.long))
    for counted, before in ((long.python, short.python), (long.c, short.c)):
        counted.subtract(before)
    return Calls(long.python, long.c, long.off_loop - short.off_loop)


def calls_per_sample(client: str, mode: str, workload: str) -> CallsPerSample:
    """Measure the calls per sample of one client with one workload."""
    return per_sample(client, mode, workload, calls_by_file(client, mode, workload))


def per_sample(client: str, mode: str, workload: str, calls: Calls) -> CallsPerSample:
    """Divide counted calls by the samples that they are of."""
    samples = _lengths(workload).samples
    python, c, off_loop = (count / samples for count in (calls.python.total(), calls.c.total(), calls.off_loop))
    return CallsPerSample(client, mode, workload, python, c, off_loop)


async def _send_ours(job: Job) -> int:
    import orchestrator

    run = await orchestrator.run(our_sweep(job))
    return sum(row["score"] == 1.0 for row in run.to_arrow().select(["score"]).to_pylist())


_CLIENTS: dict[str, Callable[[Job], Coroutine[object, object, int]]] = {OURS: _send_ours, FLOOR: send_bare}
CASES = (
    *((OURS, mode, workload) for mode in ("fixed", "adaptive") for workload in ("includes", "stream63")),
    *((FLOOR, "fixed", workload) for workload in ("includes", "stream63")),
)
"""The measured points."""


# ------------------------------------------------------------------ output
def profile_lines(calls: Calls, samples: int) -> Iterator[str]:
    """List the calls per sample by the file that they are made in, the most first."""
    yield f"{'Python':>8} {'C':>8}  file"
    files = calls.python.keys() | calls.c.keys()
    for file in sorted(files, key=lambda file: -(calls.python[file] + calls.c[file])):
        python, c = calls.python[file] / samples, calls.c[file] / samples
        if python + c >= LEAST_LISTED:
            yield f"{python:8.1f} {c:8.1f}  {_short_name(file)}"


LEAST_LISTED = 0.1
"""Calls per sample below which a file is not listed."""


def _short_name(file: str) -> str:
    for root in (str(ROOT), *sys.path):
        if root and file.startswith(f"{root}/"):
            return file.removeprefix(f"{root}/")
    return file


def main() -> None:
    """Count, print the table and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", action="store_true", help="also list the calls by file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    options = parser.parse_args()
    rows: list[CallsPerSample] = []
    with tempfile.TemporaryDirectory(prefix="state-") as state:
        os.environ["XDG_STATE_HOME"] = state
        for case in CASES:
            calls = calls_by_file(*case)
            rows.append(per_sample(*case, calls))
            print(_line(rows[-1]), flush=True)
            if options.profile:
                print("\n".join(profile_lines(calls, _lengths(case[2]).samples)) + "\n")
    if options.json:
        options.json.write_bytes(orjson.dumps([asdict(row) for row in rows], option=orjson.OPT_INDENT_2))


def _line(row: CallsPerSample) -> str:
    counts = f"{row.python:8.1f} Python + {row.c:8.1f} C = {row.total:8.1f} calls per sample"
    return f"{row.client:8} {row.mode:9} {row.workload:10} {counts}, {row.off_loop:7.1f} off the loop"


if __name__ == "__main__":
    main()
