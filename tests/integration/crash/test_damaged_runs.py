"""What a resume makes of a run directory that was damaged, or that lies on a disk that is full or read-only."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.results.run import Run
from runners.journal.sinks.parquet import ParquetSink
from runners.journal.sinks.sink import Row

if TYPE_CHECKING:
    from tests.integration.conftest import Books, Program

Sweep = Callable[..., dict[str, Any]]
BRISK = ("--no-stagger", "--display", "none")


def verified(program: Program, path: Path) -> dict[str, Any]:
    done = program("verify", path, "--json")
    found: dict[str, Any] = json.loads(done.out)
    assert done.code == int(not found["is_sound"])
    return found


def finished(program: Program, sweep: Sweep, **more: Any) -> Path:
    program.write({**sweep(program.folder, tasks=40), **more})
    done = program.run("sweep.yaml")
    assert done.code == 0
    return program.path(done)


# ------------------------------------------------------------------ damage
def test_a_finished_run_is_sound_and_complete(program: Program, sweep: Sweep) -> None:
    path = finished(program, sweep)
    done = program("verify", path, "--complete")
    assert (done.code, done.out) == (0, "sound, complete: 40 of 40 samples have their final record\n")


def test_a_run_that_was_killed_is_sound_and_says_what_is_pending(
    program: Program, sweep: Sweep, open_ended: Sweep, books: Books
) -> None:
    program.write(open_ended(program.folder, tasks=200))
    process = program.start("run", "sweep.yaml", "--max-workers", 4, *BRISK)
    path = program.only_run()
    program.wait_for(lambda: books.logged(path) >= 8)
    beside = verified(program, path)
    process.kill()
    process.wait()
    left = verified(program, path)
    assert beside["is_sound"]
    assert left["is_sound"]
    assert beside["final"] <= left["final"] < 200
    assert program("verify", path, "--complete").code == 1
    done = program("verify", path)
    assert (done.code, done.out.splitlines()[0]) == (
        0,
        f"sound, {left['pending']} of 200 samples pending ({left['pending']} never run)",
    )
    program.write(sweep(program.folder, tasks=200))
    assert program("resume", path, "-c", "sweep.yaml", *BRISK).code == 0
    assert verified(program, path)["is_complete"]


@pytest.mark.matrix
@pytest.mark.parametrize("form", ["parquet", "json"])
def test_a_damaged_part_is_refused_in_one_sentence_and_repaired_when_asked(
    program: Program, sweep: Sweep, books: Books, form: str
) -> None:
    path = finished(program, sweep, run={"storage_format": form})
    (part,) = [*path.glob("results/part-*.parquet"), *path.glob("results/results.jsonl")]
    data = bytearray(part.read_bytes())
    data[len(data) // 3] ^= 0x11
    part.write_bytes(data)
    refused = program("resume", path, *BRISK)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert f"results/{part.name}" in refused.err
    assert "`resume --repair` sets the file aside" in refused.err
    done = program("resume", path, "--repair", *BRISK)
    assert done.code == 0
    assert f"{part.name}.damaged is damaged and was set aside" in done.err
    assert (part.parent / f"{part.name}.damaged").read_bytes() == data
    books.require_each_once(path, 40)
    assert verified(program, path)["is_complete"]


@pytest.mark.matrix
def test_a_damaged_journal_line_is_repaired_by_the_resume_itself(
    program: Program, sweep: Sweep, open_ended: Sweep, books: Books
) -> None:
    program.write(open_ended(program.folder, tasks=60))
    process = program.start("run", "sweep.yaml", "--max-workers", 4, *BRISK)
    path = program.only_run()
    log = path / "journal" / "000001.log"
    program.wait_for(lambda: log.exists() and log.read_bytes().count(b'"ok"') >= 10)
    process.kill()
    process.wait()
    log.write_bytes(log.read_bytes().replace(b'"outcome":"ok"', b'"outcome":"KO"', 1))
    (damage,) = verified(program, path)["damages"]
    assert (damage["kind"], damage["remedy"]) == ("journal", "a resume runs its sample again")
    program.write(sweep(program.folder, tasks=60))
    done = program("resume", path, "-c", "sweep.yaml", *BRISK)
    assert done.code == 0
    assert "1 journal lines were damaged; their samples were run again" in done.out
    books.require_each_once(path, 60)


@pytest.mark.matrix
def test_rows_of_another_run_are_refused_with_the_difference(program: Program, sweep: Sweep) -> None:
    path, other = finished(program, sweep), finished(program, sweep)
    (part,) = path.glob("results/part-*.parquet")
    (other / "results" / "part-000007.parquet").write_bytes(part.read_bytes())
    done = program("resume", other, "--repair", *BRISK)
    assert (done.code, done.out) == (2, "")
    assert (
        f"ordinal 0 is of the run {path.name}, this is the run {other.name}; move it out of the run directory"
        in done.err
    )


# ------------------------------------------------------------------ what a resume runs
@pytest.mark.matrix
def test_only_infra_runs_infrastructure_failures_and_nothing_that_was_never_run(
    program: Program, sweep: Sweep, open_ended: Sweep, books: Books
) -> None:
    program.write(open_ended(program.folder, tasks=200, ttft_s=0.05, faults={"error_500": 0.3}))
    process = program.start("run", "sweep.yaml", "--max-workers", 4, "--max-retries", 0, *BRISK)
    path = program.only_run()
    program.wait_for(lambda: books.logged(path) >= 60)
    process.terminate()
    assert program.finish(process).code == 130
    before = verified(program, path)
    failed, never_run = before["waiting"]["infra_failure"], before["never_run"]
    assert failed
    assert never_run
    sections = sweep(program.folder, tasks=200)
    program.write(sections, "well.yaml")
    done = program("resume", path, "-c", "well.yaml", "--only", "infra", *BRISK)
    assert done.code == 3
    assert f"every infrastructure failure has its record now; {never_run} others are pending" in done.out
    after = verified(program, path)
    assert (after["final"], after["waiting"], after["never_run"]) == (before["final"] + failed, {}, never_run)
    assert program("resume", path, "-c", "well.yaml", *BRISK).code == 0
    books.require_each_once(path, 200)


def book_as_before(results: Path, ordinals: set[int]) -> None:
    """Give samples the record that versions before 0.2 wrote of a refusal that they did not know."""
    sink = ParquetSink(results)
    rows: list[Row] = []
    sink.withdraw(lambda _: True, lambda _, found: rows.extend(found))
    failed = {"outcome": "model_failure", "error_class": "request", "score": 0.0, "grade": "failed", "passed": False}
    sink.write_part(1, [{**row, **(failed if row["ordinal"] in ordinals else {})} for row in rows])


@pytest.mark.matrix
def test_what_an_older_version_booked_as_the_model_s_failure_is_brought_back_and_kept(
    program: Program, sweep: Sweep
) -> None:
    path, misjudged = finished(program, sweep), {1, 5, 17}
    book_as_before(path / "results", misjudged)
    assert program("resume", path, "--only", "infra", *BRISK).code == 0
    done = program("resume", path, "--only", "refused", *BRISK)
    assert (done.code, verified(program, path)["final"]) == (0, 40)
    table = Run.load(path).to_arrow(["ordinal", "outcome", "error_class"])
    assert sorted(table["ordinal"].to_pylist()) == list(range(40))
    assert "request" not in table["error_class"].to_pylist()
    (kept,) = (path / "superseded").glob("*.jsonl")
    rows = [json.loads(line) for line in kept.read_bytes().splitlines()]
    assert {row["ordinal"] for row in rows} == misjudged
    assert {(row["outcome"], row["error_class"], row["score"]) for row in rows} == {("model_failure", "request", 0.0)}


# ------------------------------------------------------------------ disks
@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", path], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def remount(path: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", path], check=True)


def fill(path: Path, leave_kb: int) -> Path:
    """Something else takes the room."""
    ballast = path / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            file.truncate(max(0, file.tell() - 1024 * leave_kb))
    return ballast


@pytest.mark.matrix
@pytest.mark.parametrize("form", ["parquet", "json"])
@pytest.mark.parametrize("leave_kb", [24, 136])
def test_a_full_disk_stops_the_run_and_a_resume_completes_it(
    program: Program, sweep: Sweep, books: Books, small_disk: Path, form: str, leave_kb: int
) -> None:
    deployments = {name: {"latency": {"ttft_s": 0.02, "itl_s": 0.0}, "dialect": "azure"} for name in ("m-1", "m-2")}
    program.write(sweep(program.folder, tasks=200, deployments=deployments))
    ballast = fill(small_disk, leave_kb)
    where = ("--output-dir", small_disk, "--set", f"run.storage_format={form}")
    done = program("run", "sweep.yaml", *where, "--max-workers", 8, *BRISK)
    (path,) = [path for path in small_disk.iterdir() if path.is_dir()]
    assert done.code == 3
    said = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert str(path) in said[0]
    assert "everything committed is safe: make room, then resume" in said[0]
    assert done.run_directory == path
    left = verified(program, path)
    assert left["is_sound"]
    ballast.unlink()
    assert program("resume", path, *BRISK).code == 0
    assert verified(program, path)["is_complete"]
    books.require_each_once(path, 200)


def test_a_disk_that_is_full_from_the_start_is_one_sentence(program: Program, sweep: Sweep, small_disk: Path) -> None:
    program.write(sweep(program.folder, tasks=20))
    fill(small_disk, 0)
    done = program("run", "sweep.yaml", "--output-dir", small_disk, *BRISK)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "No space left on device; free some space or choose another run.output_dir" in done.err


def test_a_read_only_folder_is_one_sentence(program: Program, sweep: Sweep, small_disk: Path) -> None:
    program.write(sweep(program.folder, tasks=20))
    path = program.path(program.run("sweep.yaml", "--output-dir", small_disk))
    remount(small_disk, "ro")
    for command in (("resume", path), ("run", "sweep.yaml", "--output-dir", small_disk)):
        done = program(*command, *BRISK)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert str(small_disk) in done.err
    assert verified(program, path)["is_complete"]
