"""The line while a large task file is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.ui.scan_progress import ScanProgress, scan_line, scan_shown


@pytest.mark.parametrize(
    ("rows", "share", "line"),
    [
        (1_234_567, 0.618, "reading tasks/a.jsonl · 1,234,567 tasks · 62%"),
        (4_000, None, "reading tasks/a.jsonl · 4,000 tasks"),
    ],
)
def test_the_line_names_file_rows_and_share(rows: int, share: float | None, line: str) -> None:
    assert scan_line(Path("tasks/a.jsonl"), rows, share) == line


def test_a_short_scan_shows_nothing_and_a_long_one_a_line_now_and_then() -> None:
    now, shown = 0.0, list[str]()
    progress = ScanProgress(shown.append, 5.0, lambda: now)
    for step in range(100):
        now = step / 10
        progress(Path("t"), step, None)
    assert shown == ["reading t · 20 tasks", "reading t · 70 tasks"]


@pytest.mark.parametrize("display", [None, "full", "plain", "none"])
def test_without_a_terminal_nothing_is_shown(display: str | None) -> None:
    with scan_shown(display) as on_progress:
        assert on_progress is None
