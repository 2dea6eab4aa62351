"""`rescore`: a new result beside the old one, from the stored answers alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

import orchestrator as orch
from orchestrator.cli.stored.rescore import _setting
from orchestrator.rescoring.new_directory import new_directory_beside
from orchestrator.results.run_directory.directory import RunDirectory
from orchestrator.results.verify.verifier import verify
from providers.errors import StorageError
from providers.messages import JSON

if TYPE_CHECKING:
    from tests.integration.conftest import Program

Sweep = Callable[..., dict[str, Any]]
TASKS = 12


@pytest.fixture(scope="module")
def stored(
    make_program: Callable[[Path], Program], sweep: Sweep, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Program, Path]:
    """A finished run, two of whose samples have no answer."""
    program = make_program(tmp_path_factory.mktemp("rescored"))
    sections = sweep(program.folder, TASKS, faults={"error_500": 0.15})
    run = {"stagger_s": [0], "max_retries": 0, "part_records": 5}
    program.write({**sections, "run": run})
    return program, program.path(program.run("sweep.yaml"))


def _digest(path: Path) -> str:
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return hashlib.sha256(b"".join(file.name.encode() + file.read_bytes() for file in files)).hexdigest()


async def _never_right(sample: orch.Sample, answer: orch.Answer, model: orch.ModelClient) -> orch.Score:
    return orch.Score(0.0, "failed", "nothing_is_right", {"length": len(answer.text)})


async def _asks(sample: orch.Sample, answer: orch.Answer, model: orch.ModelClient) -> orch.Score:
    await model.chat(sample.task.messages)
    raise AssertionError


async def _raises(sample: orch.Sample, answer: orch.Answer, model: orch.ModelClient) -> orch.Score:
    raise KeyError(sample.task.task_id)


async def test_the_same_scorer_gives_the_same_records_and_leaves_the_old_ones(stored: tuple[Program, Path]) -> None:
    _, path = stored
    before = _digest(path)
    again = await orch.rescore(path)
    assert _digest(path) == before
    assert verify(again.path).is_sound
    assert again.manifest.rescored_from == path.name
    old, new = orch.Run.load(path).to_arrow(), again.to_arrow()
    assert new.drop_columns(["run_id"]).sort_by("ordinal").equals(old.drop_columns(["run_id"]).sort_by("ordinal"))


async def test_another_scorer_grades_what_has_an_answer(stored: tuple[Program, Path]) -> None:
    _, path = stored
    again = await orch.rescore(path, scorer=_never_right)
    rows = again.to_arrow().to_pylist()
    assert {row["score_error"] for row in rows if row["outcome"] == "ok"} == {"nothing_is_right"}
    assert {row["score"] for row in rows if row["outcome"] != "ok"} == {None}
    assert len(rows) == TASKS
    with pytest.raises(orch.InputError, match="resume that run, then rescore it"):
        await orch.resume(again.path, scorer=_never_right)


async def test_other_targets_are_in_the_records(stored: tuple[Program, Path]) -> None:
    _, path = stored
    answered = next(row for row in orch.Run.load(path).to_arrow().to_pylist() if row["outcome"] == "ok")
    again = await orch.rescore(path, scorer="exact", targets={answered["task_id"]: answered["output_text"]})
    row = next(row for row in again.to_arrow().to_pylist() if row["task_id"] == answered["task_id"])
    assert (row["target"], row["passed"]) == (answered["output_text"], True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"scorer": {"name": "model_graded", "judge": "m"}}, "asks m, and rescore sends nothing"),
        ({"scorer": _asks}, "the scorer asks a model, and rescore sends nothing"),
        ({"scorer": _raises}, "your scorer raised KeyError on task .*: nothing was written"),
        ({"targets": {"nobody": 1}}, "the targets name 1 tasks that the run does not have, the first is 'nobody'"),
        ({"settings": {"generation.temperature": 1}}, "belong to another configuration"),
    ],
)
async def test_what_cannot_be_graded_is_said_and_nothing_is_left(
    stored: tuple[Program, Path], arguments: Mapping[str, Any], sentence: str
) -> None:
    _, path = stored
    before = sorted(entry.name for entry in path.parent.iterdir())
    with pytest.raises(orch.InputError, match=sentence):
        await orch.rescore(path, **arguments)
    assert sorted(entry.name for entry in path.parent.iterdir()) == before


@pytest.mark.parametrize("scorer", ["{name: !!int x}", '{name: "\\UFFFFFFFF"}', "{name", "{a: " * 1500])
def test_a_scorer_that_is_no_yaml_is_a_mistake_of_usage(scorer: str) -> None:
    with pytest.raises(click.UsageError, match="is no name and no YAML mapping"):
        _setting(scorer)


async def test_another_question_is_never_graded(stored: tuple[Program, Path]) -> None:
    program, path = stored
    tasks = program.folder / "tasks.jsonl"
    rows = tasks.read_text()
    try:
        tasks.write_text(rows.replace("?", " now?"))
        with pytest.raises(orch.InputError, match="is not the one that was answered"):
            await orch.rescore(path)
    finally:
        tasks.write_text(rows)


def test_a_crash_leaves_nothing_that_is_taken_for_a_run(stored: tuple[Program, Path]) -> None:
    _, path = stored
    left = path.parent / f".{path.name}-rescored-7.pending"
    left.mkdir()
    made: list[Path] = []

    def write() -> None:
        with new_directory_beside(RunDirectory(path), path.parent) as pending:
            made.append(pending.path)
            assert not left.exists()
            raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="is as it was: make room, then rescore again"):
        write()
    assert not made[0].exists()


BLOCKING = """
import pathlib, time

def grade(sample, answer):
    if pathlib.Path("killed").exists():
        return True
    if sample.task.task_id == LAST:
        pathlib.Path("reached").touch()
        time.sleep(120)
    return True
"""


def test_a_kill_in_the_middle_leaves_the_old_run_byte_by_byte_and_the_next_one_cleans_up(
    stored: tuple[Program, Path],
) -> None:
    program, path = stored
    (program.folder / "blocking.py").write_text(BLOCKING.replace("LAST", repr(_last_task(path))))
    before, names = _digest(path), {entry.name for entry in path.parent.iterdir()}
    started = program.start("rescore", path, "--scorer", "blocking:grade")
    program.wait_for((program.folder / "reached").exists)
    started.kill()
    started.communicate()
    assert _digest(path) == before
    left = {entry.name for entry in path.parent.iterdir()} - names
    assert [name for name in left if not name.startswith(".")] == []
    assert len(left) == 1
    (program.folder / "killed").touch()
    assert program("rescore", path, "--scorer", "blocking:grade").code == 0
    assert _digest(path) == before
    assert not left & {entry.name for entry in path.parent.iterdir()}


def _last_task(path: Path) -> str:
    return [str(row["task_id"]) for row in orch.Run.load(path).to_arrow().to_pylist() if row["outcome"] == "ok"][-1]


def test_the_command_says_what_changed(stored: tuple[Program, Path]) -> None:
    program, path = stored
    (program.folder / "fixed.jsonl").write_text(json.dumps({"id": _first_task(path), "target": "7"}) + "\n")
    done = program("rescore", path, "--scorer", "{name: regex, pattern: '(\\d+)'}", "--targets", "fixed.jsonl")
    assert done.code == 0, done.err
    assert (
        'what changed: scorers was numeric, is {"name":"regex","pattern":"(\\\\d+)"}; 1 answers have another target'
        in done.out
    )
    assert "samples have no stored answer" in done.out
    document: dict[str, JSON] = json.loads(program("rescore", path, "--json").out)
    assert document["differences"] == []


def _first_task(path: Path) -> str:
    return next(str(row["task_id"]) for row in orch.Run.load(path).to_arrow().to_pylist() if row["outcome"] == "ok")
