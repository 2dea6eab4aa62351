"""What a plain installation can do: the packages of the extras are hidden."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

HIDDEN = """
import sys
from importlib.abc import MetaPathFinder
class Hidden(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {"numpy", "pandas", "polars", "scipy", "matplotlib", "jinja2"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hidden())
import importlib.util
find = importlib.util.find_spec
def find_spec(name, package=None):
    try:
        return find(name, package)
    except ModuleNotFoundError:
        return None
importlib.util.find_spec = find_spec
from orchestrator.cli.main import main
main()
"""


def command(folder: Path, *arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", HIDDEN, *arguments], cwd=folder, capture_output=True, text=True, timeout=110, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.matrix
def test_parquet_tasks_run_and_are_verified_exported_and_graded_again(tmp_path: Path) -> None:
    pq.write_table(pa.table({"question": ["1 + 1?", "2 + 2?"], "answer": ["2", "4"]}), tmp_path / "t.parquet")
    sections = {
        "providers": {"sim": {"type": "simulator", "deployments": {"d": {}}}},
        "models": {"m": {"provider": "sim", "deployments": ["d"]}},
        "tasks": [{"path": "t.parquet", "scorer": "numeric"}],
    }
    (tmp_path / "c.yaml").write_text(json.dumps(sections))
    run = command(tmp_path, "run", "c.yaml", "--display", "none").splitlines()[-1].removeprefix("run directory: ")
    command(tmp_path, "verify", run)
    command(tmp_path, "status", run)
    command(tmp_path, "export", run, "-o", "rows.jsonl")
    command(tmp_path, "rescore", run, "--scorer", "includes")
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 2
