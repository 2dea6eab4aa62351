"""A power cut at any moment of a run, a resume or a repair loses, repeats and damages nothing that was counted, on any disk.

What is on the disk after the cut is verified, repaired and replayed as a resume does it. The last test takes every sync out in turn: each
is needed.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import pytest

from orchestrator.config.environment import Environment
from orchestrator.execution.history.resumption import ResumeOptions, find_pending
from orchestrator.execution.prepare import create, prepare
from orchestrator.results.run import Run
from orchestrator.results.run_directory.directory import RunDirectory
from orchestrator.results.verify.verifier import verify
from runners.journal.journal import Journal
from runners.samples.record import FINAL
from tests.unit.orchestrator.conftest import Load, MakeRecord
from tests.unit.orchestrator.results.verify.test_verification import Case, flip
from tests.unit.runners.journal.test_journal import Count, segments, until

from .disk_model import MODELS, DiskModel, Model, Tree, write_tree
from .recorded_disk import Operation, RecordedDisk

FORMS = ("parquet", "json")
FAILED = 1
"""The ordinal whose record is not final."""
PER_SEGMENT = 2
IN_FLIGHT = 7
"""An ordinal that is sent and never answered."""


@dataclass(frozen=True)
class Left:
    """What a resume finds after a power cut."""

    problems: tuple[str, ...] = ()
    done: frozenset[int] = frozenset()
    known: frozenset[int] = frozenset()
    """Samples with a record, final or not."""
    marked: int = 0
    """Samples that may be billed twice."""
    is_run: bool = True


@dataclass
class Scenario:
    """Recorded operations, and what must be on the disk whenever the power is cut."""

    folder: Path
    initial: Sequence[Operation]
    operations: Sequence[Operation]
    kept: frozenset[int] = frozenset()
    """Samples whose final record is there at the start, undamaged."""
    _seen: dict[tuple[tuple[str, bytes | None], ...], Left] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @cached_property
    def sites(self) -> set[str]:
        """Who asks for syncs."""
        return {operation.name for operation in self.operations if operation.kind == "sync"}

    def losses(self, models: Sequence[Model] = MODELS, seeds: int = 1, without: str = "") -> Iterator[str]:
        """Cut the power after every operation and yield what is wrong then."""
        disk, counted = DiskModel(self.initial, without), set[int]()
        for number, operation in enumerate(self.operations):
            if operation.kind == "count":
                counted.add(operation.node)
            if not disk.apply(operation):
                continue
            for model in models:
                for seed in range(seeds if model == "mixed" else 1):
                    wrong = self._wrong(disk.after_cut(model, 1_000 * number + seed), counted)
                    if wrong:
                        yield f"{model}, cut {number + 1} after {operation.kind} {operation.name}: {wrong}"
        if disk.after_cut("synced", 0) != disk.after_cut("prefix", 0):
            yield "at the end something is not durable"

    def _wrong(self, tree: Tree, counted: set[int]) -> list[str]:
        key = tuple(tree.items())
        if key not in self._seen:
            self._seen[key] = self._look(tree)
        left = self._seen[key]
        if not left.is_run:
            return [f"no run, and {counted} counted"] if counted or self.kept else []
        final = (counted - {FAILED}) | self.kept
        lost = [f"lost: {sorted(final - left.done | counted - left.known)}"]
        unmarked = ["the sample in flight has no mark"] if counted and left.marked < 1 else []
        return [*left.problems, *(lost if final - left.done or counted - left.known else []), *unmarked]

    def _look(self, tree: Tree) -> Left:
        place = self.folder / str(next(self._numbers))
        write_tree(tree, place)
        manifests = list(place.glob("runs/*/manifest.json"))
        return examine(RunDirectory(manifests[0].parent), repairs=bool(self.kept)) if manifests else Left(is_run=False)


def examine(directory: RunDirectory, *, repairs: bool) -> Left:
    """Do what a resume does, and read the results."""
    manifest, before = directory.read_manifest(), verify(directory.path)
    pending = find_pending(directory, manifest, ResumeOptions(repairs=repairs))
    after = verify(directory.path)
    problems = [str(damage) for damage in [*(before.damages if not repairs else ()), *after.damages]]
    if pending.replay.damaged:
        problems.append(f"{pending.replay.damaged} damaged lines")
    rows = Run.load(directory.path).to_arrow(["ordinal", "output_text"]).to_pylist()
    if any(row["output_text"] != answer(row["ordinal"]) for row in rows):
        problems.append("an answer is another")
    done = pending.replay.done
    is_done = frozenset(ordinal for ordinal in range(done.size) if ordinal in done)
    unresolved = {row["ordinal"] for row in pending.compactor.unresolved(done)}
    return Left(tuple(problems), is_done, is_done | unresolved, pending.replay.possibly_billed_twice)


def answer(ordinal: int) -> str:
    return f"answer {ordinal}"


# ------------------------------------------------------------------ what is recorded
class Recorder:
    """Runs that are recorded, on folders of their own."""

    def __init__(self, folder: Path, form: str, load: Load, make_record: MakeRecord) -> None:
        self.folder = folder
        self.disk_root = folder / "disk"
        self.disk_root.mkdir(parents=True)
        settings = {"output_dir": str(self.disk_root / "runs"), "storage_format": form}
        self.context = prepare(load({"run": settings}), Environment({}).key)
        self._make_record = make_record

    async def run(self) -> RecordedDisk:
        """Record a run from the making of its directory to its end."""
        disk = RecordedDisk(self.disk_root)
        with disk.recording():
            await self._execute(create(self.context), disk, range(6))
        return disk

    async def resume(self, tree: Tree, *, repairs: bool = False) -> RecordedDisk:
        """Record a resume of what `tree` holds."""
        root = self.folder / f"resumed-{repairs}"
        write_tree(tree, root)
        (path,) = root.glob("runs/*")
        if repairs:
            damage(RunDirectory(path))
        disk = RecordedDisk(root)
        with disk.recording():
            await self._execute(RunDirectory(path), disk, range(8), repairs=repairs)
        return disk

    async def _execute(
        self, directory: RunDirectory, disk: RecordedDisk, ordinals: Sequence[int], *, repairs: bool = False
    ) -> None:
        """Execute what `execute.py` does on the disk: each record is counted, and each full segment compacted, before the next comes."""
        case, count = Case(directory, self.context, self._make_record), Count()
        pending = find_pending(directory, directory.read_manifest(), ResumeOptions(repairs=repairs))
        compactor, done = pending.compactor, pending.replay.done
        async with Journal(directory.journal, compactor, done, segment_records=PER_SEGMENT) as journal:
            journal.started(IN_FLIGHT)
            open_ = len(segments(directory.journal))  # with the marks of an earlier execution there are two
            for ordinal in ordinals:
                if ordinal in done:
                    continue
                outcome = "infra_failure" if ordinal == FAILED else "ok"
                record, counted = case.record(ordinal, outcome, output_text=answer(ordinal)), len(count.durable)
                assert (record.outcome in FINAL) == (ordinal != FAILED)
                journal.append(record, partial(_count, disk, count, ordinal))
                await count.reaches(counted + 1)
                await until(lambda: len(segments(directory.journal)) <= open_)
        directory.write_summary([])
        directory.note_execution({"exit_code": 3})


def _count(disk: RecordedDisk, count: Count, ordinal: int) -> None:
    disk.count(ordinal)
    count.of(ordinal)()


def damage(directory: RunDirectory) -> None:
    """Flip a byte in the first part."""
    for path in [*directory.results.glob("part-000001.parquet"), *directory.results.glob("results.jsonl")]:
        flip(path, 200)


def final_ordinals(tree: Tree, folder: Path) -> frozenset[int]:
    write_tree(tree, folder)
    (path,) = folder.glob("runs/*")
    return examine(RunDirectory(path), repairs=False).done


async def record_all(folder: Path, form: str, load: Load, make_record: MakeRecord) -> dict[str, Scenario]:
    """Record a run, a resume of it after a kill in its middle, and the repair of what it left at its end."""
    recorder = Recorder(folder, form, load, make_record)
    run = await recorder.run()
    killed, ended = DiskModel(run.initial), DiskModel(run.initial)
    for operation in run.operations[: len(run.operations) // 2]:
        killed.apply(operation)
    for operation in run.operations:
        ended.apply(operation)
    half, whole = killed.after_cut("torn", 0), ended.after_cut("prefix", 0)
    resume = await recorder.resume(half)
    repair = await recorder.resume(whole, repairs=True)
    before = final_ordinals(half, folder / "half")
    costs = {0} if form == "json" else {0, *()}
    kept = frozenset(final_ordinals(whole, folder / "whole") - costs)
    return {
        "run": Scenario(folder / "a", run.initial, run.operations),
        "resume": Scenario(folder / "b", resume.initial, resume.operations, frozenset()),
        "repair": Scenario(folder / "c", repair.initial, repair.operations, kept),
    } | ({} if before else {})


@pytest.fixture(scope="module", params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def scenarios(form: str, tmp_path: Path, load: Load, make_record: MakeRecord) -> dict[str, Scenario]:
    return asyncio.run(record_all(tmp_path, form, load, make_record))


def test_a_power_cut_at_any_moment_loses_nothing_that_was_counted(scenarios: dict[str, Scenario]) -> None:
    found = {name: list(scenario.losses()) for name, scenario in scenarios.items()}
    print({name: (len(s.operations), len(s._seen)) for name, s in scenarios.items()})
    assert {name: wrong[:3] for name, wrong in found.items() if wrong} == {}


def test_every_sync_is_needed(scenarios: dict[str, Scenario]) -> None:
    sites = set().union(*(scenario.sites for scenario in scenarios.values()))
    caught = {}
    for site in sorted(sites):
        caught[site] = next((f"{name}: {loss}" for name, scenario in scenarios.items() if site in scenario.sites for loss in scenario.losses(without=site)), "")
        print(site, "|", caught[site])
    assert [site for site, loss in caught.items() if not loss] == []
