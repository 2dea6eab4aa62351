"""Writing a report: what the file holds, and what is said where none can be written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.report.writing import require_extra, write_report
from orchestrator.results.run import Run
from providers.errors import InputError

MakeRun = Callable[..., Run]


def test_json_is_the_facts(make_run: MakeRun, tmp_path: Path) -> None:
    end = {"at": 2.0, "instance": "sim/m", "event": "end", "sent": 2, "throttled": 0, "time_under": {"cap": 1.0}}
    run = make_run([{}, {"model": "n"}], [end])
    assert write_report(run, "json", tmp_path / "report.json", 0).startswith("facts only; ")
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["run_id"] == "r"
    assert [row["success_rate"] for row in document["standings"]] == [1.0, 1.0]
    assert document["decisions"]["ledger"]["sent"] == {"sim/m": 2}
    assert [row["verdict"] for row in document["comparisons"]["model"]] == ["not comparable"]


def test_a_file_is_replaced_as_a_whole_or_not_at_all(make_run: MakeRun, tmp_path: Path) -> None:
    run, path = make_run([{}]), tmp_path / "report.md"
    path.write_text("an older one")
    assert write_report(run, "markdown", path, 0).startswith("tables only; ")
    assert path.read_text().startswith("# Run r\n")
    with pytest.raises(
        InputError, match=r"^cannot write .*no/report\.md: No such file or directory; choose another --output$"
    ):
        write_report(run, "markdown", tmp_path / "no" / "report.md", 0)


def test_a_package_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(
        InputError, match=r"^report needs no_such_package: pip install 'llm-batch-orchestrator\[report\]'$"
    ):
        require_extra(["jinja2", "no_such_package"])
