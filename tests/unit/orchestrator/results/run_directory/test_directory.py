"""The run directory: its manifest, its name, its executions; and the status that is read from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from orchestrator.results.run_directory.directory import Manifest, RunDirectory, new_directory
from orchestrator.results.status import status_of
from providers.errors import InputError
from runners.journal.frames import frame
from runners.journal.sinks.open_sink import open_sink
from runners.samples.record import Record

MakeRecord = Callable[..., Record]
MANIFEST = Manifest("r", {"run": {"seed": 3}}, "/base", "parquet", 5, "f" * 64, {"seed": "3"})


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    directory.write_manifest(MANIFEST)
    assert directory.read_manifest() == MANIFEST
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_a_missing_or_damaged_manifest_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a run directory"):
        RunDirectory(tmp_path).read_manifest()
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InputError, match=r"manifest\.json is damaged: "):
        RunDirectory(tmp_path).read_manifest()


def test_new_directories_never_share_a_name(tmp_path: Path) -> None:
    names = {new_directory(tmp_path / "runs").path.name for _ in range(20)}
    assert len(names) == 20


def test_an_output_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot make the run directory \S+/file/\S+: Not a directory"):
        new_directory(tmp_path / "file")


def test_executions_are_kept_in_order(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    assert directory.executions() == []
    directory.note_execution({"exit_code": 130})
    directory.note_execution({"exit_code": 0})
    assert [line["exit_code"] for line in directory.executions()] == [130, 0]


def test_an_execution_that_a_crash_cut_off_is_left_out(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    directory.note_execution({"exit_code": 130})
    with (tmp_path / "executions.jsonl").open("ab") as file:
        file.write(b'{"exit_c')
    assert directory.executions() == [{"exit_code": 130}]


def test_a_run_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    says = "is being run by another process; wait for its end or stop it"
    with directory.held(), pytest.raises(InputError, match=says), RunDirectory(tmp_path).held():
        pass
    with directory.held():
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_the_status_counts_results_and_what_is_still_in_the_journal(tmp_path: Path, make_record: MakeRecord) -> None:
    directory = RunDirectory(tmp_path)
    directory.write_manifest(MANIFEST)
    lost = {"outcome": "infra_failure", "score": None, "grade": None, "passed": None, "instance": "sim/m-2"}
    sink = open_sink("parquet", directory.results)
    sink.write_part(1, [asdict(make_record(ordinal=0)), asdict(make_record(ordinal=1, outcome="model_failure"))])
    sink.write_unresolved([asdict(make_record(ordinal=2, **lost))])
    directory.journal.mkdir()
    (directory.journal / "000002.log").write_bytes(
        frame({"started": [3, 4]}) + frame(make_record(ordinal=3)) + frame(make_record(ordinal=4))[:40]
    )
    status = status_of(tmp_path)
    assert (status["total"], status["final"], status["in_journal"]) == (5, 3, 1)
    assert status["outcomes"] == {"ok": 2, "model_failure": 1, "infra_failure": 1}
    assert status["instances"] == {"sim/m": 3, "sim/m-2": 1}


def test_the_status_counts_a_sample_once_whatever_a_killed_resume_left(tmp_path: Path, make_record: MakeRecord) -> None:
    """Ordinals 0 to 2 were unresolved before; then 0 is in a part, 1 in the journal, 2 failed anew and 3 is in both."""
    directory = RunDirectory(tmp_path)
    directory.write_manifest(MANIFEST)
    lost = [asdict(make_record(ordinal=n, outcome="infra_failure", instance="sim/m-2")) for n in range(3)]
    sink = open_sink("parquet", directory.results)
    sink.write_unresolved(lost)
    sink.write_part(1, [asdict(make_record(ordinal=n)) for n in (0, 3)])
    directory.journal.mkdir()
    (directory.journal / "unresolved.log").write_bytes(b"".join(map(frame, lost)))
    (directory.journal / "000002.log").write_bytes(
        frame(make_record(ordinal=1)) + frame(make_record(ordinal=3)) + frame(make_record(ordinal=2, outcome="not_run"))
    )
    status = status_of(tmp_path)
    assert (status["final"], status["in_journal"]) == (3, 1)
    assert status["outcomes"] == {"ok": 3, "not_run": 1}
    assert status["instances"] == {"sim/m": 4}


@pytest.mark.parametrize(
    "document", [b"[]", b"{}", b'{"manifest": {}}', b'{"manifest": {"total": "x"}}', b"null", b"{", b"\xff"]
)
def test_a_damaged_manifest_is_one_sentence(tmp_path: Path, document: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(document)
    with pytest.raises(InputError, match=r"manifest\.json is damaged"):
        RunDirectory(tmp_path).read_manifest()
