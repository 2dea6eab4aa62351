"""What the documents tell people to type, typed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=110, check=False)


def test_the_first_command_of_the_readme_ends_well(tmp_path: Path) -> None:
    command = next(
        line for line in README.splitlines() if "orchestrator run examples/quickstart.yaml" in line and "venv" in line
    )
    arguments = command.split(".venv/bin/python ")[1].split()

    ended = run(sys.executable, *arguments, "-o", str(tmp_path), cwd=ROOT)

    assert ended.returncode == 0, ended.stderr
    assert "360 of 360 samples have a final record" in ended.stdout


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    script = tmp_path / "readme.py"
    script.write_text(code.replace('"examples/', f'"{ROOT}/examples/'), encoding="utf-8")

    ended = run(sys.executable, str(script), cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert "gpt-4o-mini" in ended.stdout


@pytest.mark.matrix
def test_the_example_solver_runs(tmp_path: Path) -> None:
    ended = run(sys.executable, str(ROOT / "examples" / "own_solver.py"), cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert "gpt-4o-mini cot" in ended.stdout


@pytest.mark.matrix
def test_the_example_sweep_is_planned_without_a_key() -> None:
    ended = run(sys.executable, "-m", "orchestrator", "plan", "examples/sweep.yaml", cwd=ROOT)

    assert ended.returncode == 0, ended.stderr


@pytest.mark.matrix
def test_the_example_of_tool_use_runs_and_shows_its_flawed_prompts(tmp_path: Path) -> None:
    sweep = (sys.executable, "-m", "orchestrator")
    shown = run(*sweep, "plan", "examples/tool_use.yaml", "--prompts", "each", cwd=ROOT)
    ended = run(*sweep, "run", "examples/tool_use.yaml", "--display", "none", "-o", str(tmp_path), cwd=ROOT)

    assert (shown.returncode, ended.returncode) == (0, 0), shown.stderr + ended.stderr
    assert shown.stdout.count("flawed_") == 2 * 7 * 2  # tasks, prompt types, and tools as such and in text
    assert "every sample has its record" in ended.stdout


def test_every_command_is_in_the_readme_and_has_help() -> None:
    from orchestrator.cli.main import COMMANDS, group

    for name in COMMANDS:
        assert f"`{name} " in README
        assert CliRunner().invoke(group, [name, "--help"]).exit_code == 0


def test_the_readme_keeps_to_two_hundred_lines() -> None:
    assert len(README.splitlines()) < 200


def test_every_test_that_the_readme_names_is_there() -> None:
    named = re.findall(r"`(tests/\S+\.py)`", README)

    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
