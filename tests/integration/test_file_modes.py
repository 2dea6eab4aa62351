"""A run directory is private to the user who made it, with all that any command makes in it; what is exported follows the umask."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import orchestrator as orch
from orchestrator.report.writing import write_report
from orchestrator.results.export import export
from providers.messages import JSON

Sweep = Callable[..., dict[str, Any]]
SETTINGS: dict[str, JSON] = {"run.stagger_s": [0], "run.display": "none", "run.debug_log": True}


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    """The modes of a folder and of all in it."""
    paths = (folder, *folder.rglob("*"))
    return {str(path.relative_to(folder)): oct(stat.S_IMODE(path.stat().st_mode)) for path in paths}


def require_modes(folder: Path, of_folders: int, of_files: int) -> set[str]:
    found = modes(folder)
    expected = {name: oct(of_folders if (folder / name).is_dir() else of_files) for name in found}
    assert found == expected
    return set(found)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.mark.parametrize(
    ("form", "is_shared", "mask", "of_folders", "of_files"),
    [
        ("parquet", False, 0o022, 0o700, 0o600),
        pytest.param("json", False, 0o000, 0o700, 0o600, marks=pytest.mark.matrix),
        ("json", True, 0o022, 0o755, 0o644),
        pytest.param("parquet", True, 0o007, 0o770, 0o660, marks=pytest.mark.matrix),
    ],
)
def test_all_that_is_made_in_a_run_directory_is_as_open_as_it(
    tmp_path: Path, sweep: Sweep, form: str, is_shared: bool, mask: int, of_folders: int, of_files: int
) -> None:
    settings = {**SETTINGS, "run.storage_format": form, "run.share_files": is_shared}
    with umask(mask):
        run = orch.run_sync(sweep(tmp_path, tasks=4), settings=settings)
        orch.resume_sync(run.path, settings=SETTINGS)
        again = orch.rescore_sync(run.path, scorer="exact")
        write_report(run, "json", run.path / "report.json", 10)
        write_report(run, "json", tmp_path / "mine.json", 10)
        export(run, "csv", tmp_path / "mine.csv")
    made = require_modes(run.path, of_folders, of_files)
    assert {"debug.log", "report.json", "simulator-sim.jsonl", "journal", "results"} <= made
    require_modes(again.path, of_folders, of_files)
    exported = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("mine.json", "mine.csv")}
    assert exported == {0o666 & ~mask}


def test_a_run_directory_that_exists_keeps_its_modes(tmp_path: Path, sweep: Sweep) -> None:
    with umask(0o022):
        run = orch.run_sync(sweep(tmp_path, tasks=2), settings=SETTINGS)
        for made in (run.path, *run.path.rglob("*")):
            made.chmod(0o755 if made.is_dir() else 0o644)
        shutil.rmtree(run.path / "journal")
        orch.resume_sync(run.path, settings=SETTINGS)
    require_modes(run.path, 0o755, 0o644)


def test_tasks_from_python_and_the_state_directory_are_private(tmp_path: Path, sweep: Sweep) -> None:
    with umask(0o022):
        rows = [{"id": "a", "question": "1 + 1", "answer": "2"}]
        fields = {"input": "question", "target": "answer"}
        orch.run_sync(sweep(tmp_path), tasks=rows, fields=fields, settings=SETTINGS)
    require_modes(tmp_path / "runs" / "tasks", 0o700, 0o600)
    (state,) = (tmp_path / "state").iterdir()
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["debug.log", "executions.jsonl", "decisions.jsonl", ".summary.json.pending"])
def test_a_link_in_a_run_directory_writes_to_no_other_file(tmp_path: Path, sweep: Sweep, name: str) -> None:
    run = orch.run_sync(sweep(tmp_path, tasks=2), settings=SETTINGS)
    other = tmp_path / "bashrc"
    other.write_text("mine\n")
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).symlink_to(other)
    with suppress(orch.OrchestratorError):
        orch.resume_sync(run.path, settings=SETTINGS)
    assert other.read_text() == "mine\n"
