"""What comes from outside can neither steer a terminal nor fake a line; JSON documents keep their values."""

from __future__ import annotations

import io
import logging
from contextlib import redirect_stdout
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.ui import terminal
from orchestrator.ui.terminal import PrintableFormatter, printable, say, say_json, say_traceback

EVIL = "\x1b]52;c;ZXZpbA==\x07\x1b[31m[red]fine[/red]\r\x9b2J\u202e\u2066\x00\n"


def steers(text: str) -> bool:
    return any(not sign.isprintable() and sign != "\n" for sign in text)


@given(st.text())
def test_what_is_shown_is_one_line_of_as_many_printable_signs(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) == len(text)
    assert all(sign in (was, " ") for sign, was in zip(shown, text, strict=True))


def test_markup_is_text() -> None:
    assert "[red]fine[/red]" in printable(EVIL)


json_values = st.recursive(
    st.none() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(json_values)
def test_a_json_document_keeps_every_value_and_steers_nothing(document: object) -> None:
    said = io.StringIO()
    with redirect_stdout(said):
        say_json(document)
    assert orjson.loads(said.getvalue()) == document
    assert not steers(said.getvalue())


def test_errors_that_nobody_expected_are_shown_as_lines(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError(f"bad {EVIL}")  # noqa: TRY301 - what a bug would do
    except ValueError as error:
        say_traceback(error)
    say(EVIL, err=True)
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert not steers(shown)


def test_a_logged_line_is_one_line_and_its_traceback_is_harmless() -> None:
    try:
        raise ValueError(EVIL)  # noqa: TRY301 - what a bug would do
    except ValueError as error:
        record = logging.LogRecord("l", logging.INFO, "f", 1, "task %s", (f"{EVIL}2026-01-01 INFO faked",), None)
        record.exc_info = (type(error), error, error.__traceback__)
    shown = PrintableFormatter("%(levelname)s %(message)s").format(record)
    assert not steers(shown)
    assert shown.splitlines()[1].startswith("Traceback")


def test_every_command_prints_through_this_room() -> None:
    folder = Path(terminal.__file__).parent
    printing = ("click.echo", "click.secho", "print(", "rich.print", "stdout.write")
    found = [
        f"{path.relative_to(folder)}:{number}: {line.strip()} (use orchestrator.ui.terminal.say)"
        for path in folder.rglob("*.py")
        if path.name != "terminal.py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if any(line.strip().startswith(call) for call in printing)
    ]
    assert found == []
