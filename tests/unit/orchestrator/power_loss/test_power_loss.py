"""A power cut at any moment of a run, a resume or a repair loses, repeats and damages nothing that was counted, on any disk.

What is on the disk after the cut is verified, repaired and replayed as a resume does it. The last test takes every sync out in turn: each
is needed.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import pytest

from orchestrator.config.environment import Environment
from orchestrator.execution.history.resumption import ResumeOptions, find_pending
from orchestrator.execution.prepare import create, prepare
from orchestrator.results.run import Run
from orchestrator.results.run_directory.directory import RunDirectory
from providers.errors import OrchestratorError
from runners.journal.journal import Journal
from runners.journal.sinks.open_sink import open_sink
from runners.samples.record import FINAL
from tests.unit.orchestrator.conftest import Load, MakeRecord
from tests.unit.orchestrator.results.verify.test_verification import Case
from tests.unit.runners.journal.test_journal import Count, segments, until

from .disk_model import CERTAIN, DiskModel, Model, Tree, write_tree
from .recorded_disk import Operation, RecordedDisk

FORMS = ("parquet", "json")
FAILED = 1
"""The ordinal whose record is not final: it is in the first segment."""
COSTS: Mapping[str, frozenset[int]] = {"parquet": frozenset({4, 5}), "json": frozenset({5})}
"""The samples in what a damaged byte costs: a row group or a line."""
PER_SEGMENT = 2
DAMAGE = b"what a disk makes of it"
QUICK: tuple[Model, ...] = ("synced", "prefix", "renames", "deletions")
OTHERS = tuple(model for model in CERTAIN if model not in QUICK)
IN_FLIGHT = 7
"""An ordinal that is sent and never answered."""


@dataclass(frozen=True)
class Left:
    """What a resume finds after a power cut."""

    problems: tuple[str, ...] = ()
    done: frozenset[int] = frozenset()
    known: frozenset[int] = frozenset()
    """Samples with a record, final or not."""
    marked: frozenset[int] = frozenset()
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
    repairs: bool = False
    _seen: dict[tuple[tuple[str, bytes | None], ...], Left] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @cached_property
    def sites(self) -> set[str]:
        """Who asks for syncs."""
        return {operation.name for operation in self.operations if operation.kind == "sync"}

    def losses(self, models: Sequence[Model] = CERTAIN, seeds: int = 1, without: str = "") -> Iterator[str]:
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
        unmarked = ["the sample in flight has no mark"] if counted and IN_FLIGHT not in left.marked else []
        wrongly = [f"counted and marked as in flight: {sorted(counted & left.marked)}"] if counted & left.marked else []
        return [*left.problems, *(lost if final - left.done or counted - left.known else []), *unmarked, *wrongly]

    def _look(self, tree: Tree) -> Left:
        place = self.folder / str(next(self._numbers))
        write_tree(tree, place)
        manifests = list(place.glob("runs/*/manifest.json"))
        left = examine(RunDirectory(manifests[0].parent), repairs=self.repairs) if manifests else Left(is_run=False)
        shutil.rmtree(place)
        return left


def examine(directory: RunDirectory, *, repairs: bool) -> Left:
    """Do what a resume does before it sends anything: verify, repair where it may, and replay. Then look for what is there twice."""
    try:
        manifest = directory.read_manifest()
        pending = find_pending(directory, manifest, ResumeOptions(repairs=repairs))
    except OrchestratorError as error:
        return Left((str(error),))
    final = list(open_sink(manifest.storage_format, directory.results).ordinals())
    problems = [f"twice: {sorted(final)}"] if len(final) != len(set(final)) else []
    if pending.replay.damaged:
        problems.append(f"{pending.replay.damaged} damaged lines")
    if repairs and not has_its_answers(directory.path):
        problems.append("an answer is another")
    if repairs and DAMAGE not in b"".join(path.read_bytes() for path in directory.results.iterdir()):
        problems.append("the damaged file is gone")
    done = pending.replay.done
    is_done = frozenset(ordinal for ordinal in range(done.size) if ordinal in done)
    unresolved = {row["ordinal"] for row in pending.compactor.unresolved(done)}
    return Left(tuple(problems), is_done, is_done | unresolved, pending.compactor.in_flight)


def has_its_answers(path: Path) -> bool:
    try:
        rows = Run.load(path).to_arrow(["ordinal", "output_text"]).to_pylist()
    except OrchestratorError:
        return False
    return all(row["output_text"] == answer(row["ordinal"]) for row in rows)


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
            await self._execute(RunDirectory(path), disk, range(IN_FLIGHT), repairs=repairs)
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
                journal.started(ordinal)
                journal.append(record, partial(_count, disk, count, ordinal))
                await count.reaches(counted + 1)
                await until(lambda: len(segments(directory.journal)) <= open_)
        directory.write_summary([{"resumed": repairs}])
        directory.note_execution({"exit_code": 3})


def _count(disk: RecordedDisk, count: Count, ordinal: int) -> None:
    disk.count(ordinal)
    count.of(ordinal)()


def damage(directory: RunDirectory) -> None:
    """Write over some bytes of the last record."""
    for path in [*directory.results.glob("part-000003.parquet"), *directory.results.glob("results.jsonl")]:
        content = path.read_bytes()
        at = 300 if path.suffix == ".parquet" else len(content) - 300
        path.write_bytes(content[:at] + DAMAGE + content[at + len(DAMAGE) :])


def final_in(tree: Tree, folder: Path) -> frozenset[int]:
    write_tree(tree, folder)
    (path,) = folder.glob("runs/*")
    return examine(RunDirectory(path), repairs=False).done


async def record_all(folder: Path, form: str, load: Load, make_record: MakeRecord) -> dict[str, Scenario]:
    """Record a run, a resume of it after a kill in its middle, and the repair of what it left at its end."""
    recorder = Recorder(folder, form, load, make_record)
    run = await recorder.run()
    half, whole = (disk_after(run, end).after_cut("torn", 0) for end in (len(run.operations) // 2, None))
    resume = await recorder.resume(half)
    repair = await recorder.resume(whole, repairs=True)
    return {
        "run": Scenario(folder / "cuts-of-run", run.initial, run.operations),
        "resume": Scenario(
            folder / "cuts-of-resume", resume.initial, resume.operations, final_in(half, folder / "half")
        ),
        "repair": Scenario(
            folder / "cuts-of-repair",
            repair.initial,
            repair.operations,
            final_in(whole, folder / "whole") - COSTS[form],
            repairs=True,
        ),
    }


def disk_after(disk: RecordedDisk, end: int | None) -> DiskModel:
    model = DiskModel(disk.initial)
    for operation in disk.operations[:end]:
        model.apply(operation)
    return model


ALSO_SYNCED_BY_OTHERS: Mapping[str, str] = {
    "RunDirectory.write_manifest: folder": "the folders of results and journal are made next, in the same folder",
    "open_sink: folder": "the folder of the journal is made next, in the same folder",
    "set_aside: folder": "new JSON results are written next, in the same folder; needed where a Parquet part is deleted",
    "ParquetSink._write_part.write: folder": "the part gets its name next, in the same folder",
    "ParquetSink._rewrite: folder": "the pages have checksums; needed where only the file's checksum shows the damage",
}
"""Syncs of the helpers for files and folders that are not needed where they are used. None is the journal's."""
_recorded: dict[str, dict[str, Scenario]] = {}


@pytest.fixture(params=FORMS)
def scenarios(
    request: pytest.FixtureRequest, tmp_path: Path, load: Load, make_record: MakeRecord
) -> dict[str, Scenario]:
    """Recorded once for all tests."""
    form = str(request.param)
    if form not in _recorded:
        _recorded[form] = asyncio.run(record_all(tmp_path, form, load, make_record))
    return _recorded[form]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "models", [pytest.param(QUICK, id="quick"), pytest.param(OTHERS, id="others", marks=pytest.mark.matrix)]
)
def test_a_power_cut_at_any_moment_loses_nothing_that_was_counted(
    scenarios: dict[str, Scenario], models: Sequence[Model]
) -> None:
    found = {name: list(scenario.losses(models)) for name, scenario in scenarios.items()}
    assert {name: wrong[:3] for name, wrong in found.items() if wrong} == {}


@pytest.mark.matrix
@pytest.mark.timeout(600)
def test_no_choice_of_what_reaches_the_disk_loses_anything(scenarios: dict[str, Scenario]) -> None:
    found = {name: list(scenario.losses(["mixed"], seeds=4)) for name, scenario in scenarios.items()}
    assert {name: wrong[:3] for name, wrong in found.items() if wrong} == {}


@pytest.mark.matrix
@pytest.mark.timeout(600)
def test_without_any_one_sync_something_is_lost(scenarios: dict[str, Scenario]) -> None:
    sites = sorted(set().union(*(scenario.sites for scenario in scenarios.values())))
    losses = {site: first_loss(scenarios, site) for site in sites}
    print(*(f"{site:60} {loss}" for site, loss in losses.items()), sep="\n")  # noqa: T201 - shown where the test fails, or with -s
    assert [site for site, loss in losses.items() if not loss and site not in ALSO_SYNCED_BY_OTHERS] == []


def first_loss(scenarios: Mapping[str, Scenario], site: str) -> str:
    """Return what is lost first without the syncs of one function; empty where nothing is."""
    for name, scenario in scenarios.items():
        if site in scenario.sites:
            for loss in scenario.losses([*CERTAIN, "mixed"], without=site):
                return f"{name}, {loss}"
    return ""
