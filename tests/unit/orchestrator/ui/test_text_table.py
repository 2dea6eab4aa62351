"""Cells from outside break out of no form of a table."""

from __future__ import annotations

from orchestrator.ui.text_table import TextTable

EVIL = TextTable("a_b", ("x", "n"), (("50 % & 1|2_3 #{}", "<script>alert(1)</script>\n| injected |"),))


def test_latex_signs_are_escaped() -> None:
    assert r"50 \% \& 1|2\_3 \#\{\}" in EVIL.to_latex()
    assert r"\caption{a\_b}" in EVIL.to_latex()


def test_markdown_keeps_a_row_on_its_line_and_its_cells_apart() -> None:
    lines = EVIL.to_markdown().splitlines()
    assert lines[4] == r"| 50 % & 1\|2_3 #{} | \<script>alert(1)\</script> \| injected \| |"
    assert len(lines) == 5


def test_html_is_text_and_nothing_else() -> None:
    shown = EVIL.to_html()
    assert "&lt;script&gt;alert(1)&lt;/script&gt; | injected |" in shown
    assert "<script" not in shown
    assert "<caption>a_b</caption>" in shown
    assert shown.count("<td") == 2
