"""Every benchmark starts as a module and as a script."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted(
    path.relative_to(ROOT / "benchmarks").with_suffix("")
    for pattern in ("*.py", "*/__main__.py")
    for path in (ROOT / "benchmarks").glob(pattern)
    if '__name__ == "__main__"' in path.read_text()
)


def asked_for_help(*command: str) -> str:
    done = subprocess.run([sys.executable, *command, "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_benchmarks() -> None:
    assert Path("crash_matrix/__main__") in PROGRAMS
    assert Path("overhead") in PROGRAMS


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_a_benchmark_starts_as_a_module(program: Path) -> None:
    module = ".".join(("benchmarks", *program.parts)).removesuffix(".__main__")
    assert "usage:" in asked_for_help("-m", module)


@pytest.mark.matrix
@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_a_benchmark_starts_as_a_script(program: Path) -> None:
    assert "usage:" in asked_for_help(str(ROOT / "benchmarks" / program.with_suffix(".py")))
    assert not (sys.stdlib_module_names & {program.stem} - {"__main__"}), (
        "run as a script it hides the standard library's"
    )


@pytest.mark.matrix
def test_the_structure_figures_follow_a_sample_from_its_task_to_the_wire(tmp_path: Path) -> None:
    written = tmp_path / "figures.json"
    command = [sys.executable, "benchmarks/structure.py", "--json", str(written)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    figures = {(row["figure"], row["package"]): row["value"] for row in json.loads(written.read_text())}
    whole, part = (figures[f"one sample, {span}: files", "all"] for span in ("whole run", "read to sent"))
    assert 4 <= part < whole <= figures["files", "all"]
