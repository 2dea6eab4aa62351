"""The example notebook, executed cell by cell as in a browser; in the repository it has no output."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "compare_model_families.ipynb"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the kernel works and keeps its files."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(NOTEBOOK.parents[1]), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "matplotlib"))
    return tmp_path


def read() -> nbformat.NotebookNode:
    found: nbformat.NotebookNode = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    return found


@pytest.mark.matrix
@pytest.mark.filterwarnings("default")
def test_the_notebook_runs_and_shows_its_tables(folder: Path) -> None:
    from nbclient import NotebookClient

    notebook = read()
    client = NotebookClient(notebook, timeout=90, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    asyncio.run(client.async_execute())
    shown = "".join(
        output.get("text", "") + output.get("data", {}).get("text/html", "")
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    )
    assert "720 of 720 samples have a final record" in shown
    assert "model: against gpt-4o-mini" in shown
    assert r"\toprule" in shown
    assert "sim/DeepSeek-V3-2" in shown


def test_the_notebook_is_kept_without_outputs() -> None:
    cells = read().cells
    assert [cell.execution_count for cell in cells if cell.cell_type == "code" and cell.execution_count] == []
    assert [cell.outputs for cell in cells if cell.cell_type == "code" and cell.outputs] == []
