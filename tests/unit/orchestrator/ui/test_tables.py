"""The summary as people see it: columns that say something, and as many as there is room for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from orchestrator.cli.tables import print_summary
from orchestrator.results.summaries.summary import summarise
from runners.journal.sinks.record_table import record_table
from runners.samples.record import Record

MakeRecord = Callable[..., Record]
LOST = {"score": None, "grade": None, "passed": None, "outcome": "infra_failure", "error_class": "timeout_attempt"}
WRONG = {"score": 0.0, "grade": "failed", "passed": False, "score_error": "parameter"}


def printed(capsys: pytest.CaptureFixture[str], records: list[Record], width: int = 300) -> str:
    print_summary(summarise(record_table([asdict(record) for record in records])), width)
    return capsys.readouterr().out


@pytest.fixture
def several(make_record: MakeRecord) -> list[Record]:
    tools: dict[str, Any] = {"tool_calls": 4, "tool_failures": 1, "tool_coverage": 0.5}
    return [make_record(**tools), make_record(**tools, **WRONG), make_record(judge_cost_usd=0.01), make_record(**LOST)]


def test_bounds_tools_and_judge_are_shown_where_there_is_something_to_say(
    capsys: pytest.CaptureFixture[str], several: list[Record]
) -> None:
    shown = printed(capsys, several)
    for part in ("66.7 %", "50.0 %–75.0 %", "75.0 % [40.9, 92.9]", "0.50", "0.0100", "parameter 1, timeout_attempt 1"):
        assert part in shown
    assert "no room for" not in shown


def test_a_plain_run_has_a_plain_table(capsys: pytest.CaptureFixture[str], make_record: MakeRecord) -> None:
    header = printed(capsys, [make_record()]).splitlines()[1]
    assert (
        " ".join(header.split()) == "model prompt difficulty task type total full wrong infra success 95 % score mean s"
    )


def test_where_room_is_short_what_every_row_shares_stands_in_the_title(
    capsys: pytest.CaptureFixture[str], make_record: MakeRecord
) -> None:
    records = [make_record(task_type=kind, prompt_type="flawed_redundant_operations") for kind in ("sum", "double")]
    roomy = printed(capsys, records, 200)
    tight = printed(capsys, records, len(roomy.splitlines()[1].rstrip()) - 2)
    assert roomy.splitlines()[0].strip() == "Summary"
    assert tight.splitlines()[0].strip() == "Summary: difficulty easy"
    assert "difficulty" not in tight.splitlines()[1]
    assert "no room for" not in tight


def test_an_interval_that_leaves_everything_open_is_not_shown(
    capsys: pytest.CaptureFixture[str], make_record: MakeRecord
) -> None:
    shown = printed(capsys, [make_record(family="one"), make_record(family="one", **WRONG)])
    assert "95 %" not in shown
    assert "50.0 %" in shown


def test_a_name_and_its_count_stay_on_one_line(capsys: pytest.CaptureFixture[str], make_record: MakeRecord) -> None:
    faults = ("tool_selection", "parameter", "tool_failure")
    records = [make_record(**{**WRONG, "score_error": fault}) for fault in faults]
    for width in range(120, 160, 5):
        shown = printed(capsys, records, width)
        assert all(f"{fault} 1" in shown for fault in faults), (width, shown)


def test_what_there_is_no_room_for_is_named(capsys: pytest.CaptureFixture[str], several: list[Record]) -> None:
    shown = printed(capsys, several, width=125)
    assert "no room for: " in shown
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 125
    assert "parameter 1" in shown
