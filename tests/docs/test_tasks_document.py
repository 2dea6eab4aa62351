"""Every example of docs/tasks.md is planned, and shows what the page says; its Python runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import group
from sharding.tasks.field_values import IF_EMPTY

PAGE = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text(encoding="utf-8")
SECTIONS = {section.partition("\n")[0]: section for section in PAGE.split("\n## ")[1:]}
BLOCK = re.compile(r"(?:`([\w.]+)`:\n\n)?```(\w+)\n(.*?)```", re.DOTALL)
HEAD = """
providers: {sim: {type: simulator, deployments: {m: {latency: {ttft_s: 0.001, itl_s: 0}}}}}
models: {m: {provider: sim, deployments: [m]}}
"""


def blocks(section: str) -> Iterator[tuple[str, str, str]]:
    """Yield the name of the file, the language and the text of every block."""
    for match in BLOCK.finditer(SECTIONS[section]):
        yield match[1] or "", match[2], match[3]


def written(section: str, folder: Path) -> Sequence[str]:
    """Write the files of a section and return the lines that its plan shows."""
    lines: list[str] = []
    for name, language, text in blocks(section):
        if language == "yaml":
            (folder / "sweep.yaml").write_text(HEAD + text, encoding="utf-8")
        elif language == "text":
            lines += text.splitlines()
        elif language != "python":
            (folder / name).write_text(text, encoding="utf-8")
    return lines


@pytest.mark.parametrize("section", [name for name in SECTIONS if "```yaml" in SECTIONS[name]])
def test_the_example_of_a_section_shows_what_it_says(
    section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = written(section, tmp_path)
    shown = CliRunner().invoke(group, ["plan", "sweep.yaml", "--prompts", "each"], env={"COLUMNS": "160"})
    assert shown.exit_code == 0, shown.output
    assert wanted
    assert [line for line in wanted if line not in shown.output + caplog.text] == []


def test_the_python_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    section = "Fields: what the columns mean"
    written(section, tmp_path)
    (code,) = [text for _, language, text in blocks(section) if language == "python"]
    found: dict[str, Any] = {}
    exec(code, found)
    assert found["run"].to_arrow().select(["task_id", "passed"]).to_pylist() == [{"task_id": "1.easy", "passed": True}]


def test_every_form_of_a_field_is_on_the_page() -> None:
    assert all(f"{key}: " in PAGE for key in (*IF_EMPTY, "const"))
