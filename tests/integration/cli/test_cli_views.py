"""The commands that send nothing: plan, status, export, help; and how quickly the program is there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Done, Program

Sweep = Callable[..., dict[str, Any]]
HEAVY = ("pydantic", "aiohttp", "openai", "pyarrow", "rich", "tenacity", "yaml", "pandas")


@pytest.mark.parametrize("program_text", ["import orchestrator", "import orchestrator; orchestrator.__all__"])
def test_importing_the_package_imports_nothing_heavy(program_text: str) -> None:
    assert heavy_imports(program_text) == []


def test_help_imports_nothing_heavy() -> None:
    ask = "import orchestrator.cli.main as m\ntry: m.main()\nexcept SystemExit as stop: assert stop.code == 0"
    assert heavy_imports(f"import sys; sys.argv = ['orchestrator', '--help']\n{ask}") == []


def heavy_imports(program_text: str) -> list[str]:
    report = f"\nimport sys; sys.stderr.write(' '.join(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program_text + report], capture_output=True, text=True, check=True)
    return done.stderr.split()


@pytest.mark.parametrize("command", ["doctor", "export", "plan", "resume", "run", "simulator", "status"])
def test_every_command_explains_itself(program: Program, command: str) -> None:
    done = program(command, "--help")
    assert done.code == 0
    assert done.out.startswith(f"Usage: python -m orchestrator {command} ")


def test_the_plan_needs_no_key_and_makes_nothing(program: Program, sweep: Sweep) -> None:
    sections = sweep(program.folder)
    sections["providers"]["east"] = {"type": "azure", "endpoint": "https://x.invalid", "api_key_env": "NOT_SET"}
    sections["models"]["m"] = {"provider": "east", "deployments": ["a", "b", "c"]}
    program.write(sections)
    before = sorted(program.folder.iterdir())
    done = program("plan", "sweep.yaml")
    assert done.code == 0
    assert done.err == ""
    assert "20 samples in 1 stage(s), adaptive rate mode; nothing was sent" in done.out
    document = json.loads(program("plan", "sweep.yaml", "--json").out)
    assert [(s["instance"], s["samples"], s["workers"], s["start_after_s"]) for s in document["shards"]] == [
        ("east/a", 7, 100, 0),
        ("east/b", 7, 100, 30),
        ("east/c", 6, 100, 50),
    ]
    expected = {"instances": 3, "workers": 300, "samples": 20, "most_output_tokens": 20 * 64, "most_cost_usd": None}
    assert expected.items() <= document["models"]["m"].items()
    assert 20 * 5 < document["models"]["m"]["input_tokens"] < 20 * 20
    assert sorted(program.folder.iterdir()) == before


@pytest.fixture(scope="module")
def finished(
    make_program: Callable[[Path], Program], sweep: Sweep, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Program, Done]:
    program = make_program(tmp_path_factory.mktemp("views"))
    program.write(sweep(program.folder, tasks=6))
    return program, program.run("sweep.yaml")


@pytest.mark.matrix
def test_the_status_is_read_from_the_files(finished: tuple[Program, Done]) -> None:
    program, done = finished
    said = program("status", done.run_directory)
    assert said.code == 0
    assert "6 of 6 samples have a final record; 0 are still in the journal" in said.out
    assert "an execution ended with exit code 0: every sample has its record" in said.out
    document = json.loads(program("status", done.run_directory, "--json").out)
    assert (document["final"], document["total"], document["outcomes"]) == (6, 6, {"ok": 6})
    assert sum(document["instances"].values()) == 6
    assert set(document["instances"]) <= {"sim/m-1", "sim/m-2"}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_run_is_exported(finished: tuple[Program, Done], form: str) -> None:
    program, done = finished
    said = program("export", done.run_directory, "--format", form, "-o", f"out.{form}")
    assert (said.code, said.out) == (0, f"6 records written to out.{form}\n")
    path = program.folder / f"out.{form}"
    count = pq.read_table(path).num_rows if form == "parquet" else path.read_text().count("\n") - (form == "csv")
    assert count == 6


def test_an_export_to_nowhere_is_one_sentence(finished: tuple[Program, Done]) -> None:
    program, done = finished
    said = program("export", done.run_directory, "-o", "none/out.jsonl")
    assert (said.code, said.err) == (
        2, "error: cannot write none/out.jsonl: No such file or directory; check the path and its permissions\n",
    )  # fmt: skip


@pytest.mark.parametrize("command", [["status"], ["resume"], ["export", "-o", "x.jsonl"]])
def test_a_folder_that_is_no_run_is_one_sentence(program: Program, command: list[str]) -> None:
    said = program(*command, ".")
    assert said.code == 2
    assert said.err == "error: . is not a run directory: it has no manifest.json that can be read\n"
