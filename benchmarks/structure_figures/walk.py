"""The path of one sample: it runs through `orchestrator.run_sync` against the simulator, under a profile hook that counts.

The counted items are the called functions of the source packages, in the order of their first call, and their files. Calls while a module
is imported are left out. A climb is a pair of functions where the lower package's function calls the higher package's function; foreign
code in between is skipped. "Next function" goes by the order of first calls, independent of the caller.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType, FrameType

from benchmarks.structure_figures.figure import WHOLE, TreeFigure, count
from benchmarks.structure_figures.source import PACKAGES

STARTS = ("SweepPlan.sample", "Plan.sample", "Sweep.sample", "sample")
"""Functions that read a sample: the first of these qualified names that was called; a plain name fits a function of any class."""
ENDS = ("NativeTransport.send", "HttpTransport.send", "Transport.send", "send")
"""Functions that send its request."""
_FUNCTION = 0x2
"""CO_NEWLOCALS: bodies of modules and classes do not have it."""


@dataclass(frozen=True, slots=True)
class ObservedCall:
    """A call of a function of the source packages."""

    callee: CodeType
    caller: CodeType | None
    """The nearest function of the source packages on the stack."""


@dataclass(slots=True)
class ProfileHook:
    """The profile hook; each thread has its own import depth."""

    root: Path
    calls: list[ObservedCall] = field(default_factory=list)
    _known: dict[str, bool] = field(default_factory=dict)
    _local: threading.local = field(default_factory=threading.local)

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if code.co_name == "<module>" and event in ("call", "return"):
            self._local.imports = getattr(self._local, "imports", 0) + (1 if event == "call" else -1)
        elif (
            event == "call"
            and code.co_flags & _FUNCTION
            and self._is_ours(code)
            and not getattr(self._local, "imports", 0)
        ):
            self.calls.append(ObservedCall(code, self._caller(frame.f_back)))

    def _caller(self, frame: FrameType | None) -> CodeType | None:
        """Find the calling function, skipping foreign code."""
        while frame is not None and not self._is_ours(frame.f_code):
            frame = frame.f_back
        return frame.f_code if frame is not None else None

    def _is_ours(self, code: CodeType) -> bool:
        """Check whether code is in one of the source packages."""
        name = code.co_filename
        if name not in self._known:
            self._known[name] = _package(code, self.root) in PACKAGES
        return self._known[name]


def walk_figures(root: Path, starts: Sequence[str] = STARTS, ends: Sequence[str] = ENDS) -> Iterator[TreeFigure]:
    """Run one sample and count. `root` must be importable. Raises LookupError where an end point was never called."""
    calls = watch_sample(root)
    yield from _span_figures("one sample, whole run", calls, root)
    start, end = end_points(calls, starts, ends)
    yield from _span_figures("one sample, read to sent", calls[start : end + 1], root)


def watch_sample(root: Path) -> list[ObservedCall]:
    """Run one sample in this process, with its provider in another, and return the calls."""
    watch = ProfileHook(root)
    with TemporaryDirectory(prefix="structure-") as folder, _state_in(folder):
        orchestrator = importlib.import_module("orchestrator")
        config = _config(Path(folder))
        threading.setprofile(watch)
        sys.setprofile(watch)
        try:
            orchestrator.run_sync(config)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
    return watch.calls


def end_points(calls: Sequence[ObservedCall], starts: Sequence[str], ends: Sequence[str]) -> tuple[int, int]:
    """Return the indices of the first send and of the last read before it."""
    end = next(iter(_places(calls, ends)), None)
    start = _places(calls[:end], starts) if end is not None else []
    if end is None or not start:
        raise LookupError(f"none of {', '.join(ends if end is None else starts)} was called; name the function")
    return start[-1], end


def _places(calls: Sequence[ObservedCall], names: Sequence[str]) -> list[int]:
    """Find the calls of the first name that was called."""
    for name in names:
        whole = "." in name
        indices = [
            i for i, call in enumerate(calls) if name == (call.callee.co_qualname if whole else call.callee.co_name)
        ]
        if indices:
            return indices
    return []


def _span_figures(name: str, calls: Sequence[ObservedCall], root: Path) -> Iterator[TreeFigure]:
    """Count the functions of a span, their files, the changes from file to file and the climbs."""
    order = list(dict.fromkeys(call.callee for call in calls))
    files = [str(Path(code.co_filename).relative_to(root)) for code in order]
    floors = [PACKAGES.index(_package(code, root)) for code in order]
    yield count(f"{name}: functions", WHOLE, [code.co_qualname for code in order])
    yield count(f"{name}: files", WHOLE, list(dict.fromkeys(files)))
    yield TreeFigure(f"{name}: file changes", WHOLE, sum(a != b for a, b in pairwise(files)))
    yield count(f"{name}: climbs", WHOLE, _climbs(calls, root))
    yield TreeFigure(f"{name}: next function is in a higher package", WHOLE, sum(a < b for a, b in pairwise(floors)))


def _climbs(calls: Sequence[ObservedCall], root: Path) -> list[str]:
    """Describe each pair of functions whose call goes up."""
    pairs = {(call.caller, call.callee): None for call in calls if call.caller is not None}
    return [
        f"{_package(caller, root)} {caller.co_qualname} calls {_package(callee, root)} {callee.co_qualname}"
        for caller, callee in pairs
        if PACKAGES.index(_package(caller, root)) < PACKAGES.index(_package(callee, root))
    ]


def _package(code: CodeType, root: Path) -> str:
    """Return the folder below `root` that contains the code; "" for foreign code."""
    path = Path(code.co_filename)
    return path.relative_to(root).parts[0] if path.is_relative_to(root) else ""


def _config(folder: Path) -> dict[str, object]:
    """Build the configuration of a sweep with one sample on the simulator."""
    tasks = folder / "tasks.jsonl"
    tasks.write_text(json.dumps({"id": "1", "input": "What is 2 + 3?", "target": "5"}))
    deployments = {"simulated": {"latency": {"ttft_s": 0.01, "itl_s": 0}}}
    return {
        "providers": {"sim": {"type": "simulator", "deployments": deployments}},
        "models": {"simulated": {"provider": "sim", "deployments": ["simulated"]}},
        "tasks": [{"path": str(tasks), "scorer": "numeric"}],
        "run": {"stagger_s": [0], "display": "none", "output_dir": str(folder / "runs")},
    }


@contextmanager
def _state_in(folder: str) -> Iterator[None]:
    """Keep learned limits and locks of the run separate from the user's."""
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["XDG_STATE_HOME"]
        else:
            os.environ["XDG_STATE_HOME"] = before
