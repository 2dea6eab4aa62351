"""Tables for people: the plan and the summary. Texts from outside are shown without control characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap

from rich.console import Console
from rich.table import Table
from rich.text import Text

from providers.messages import JSON

from ..results.summary_table import Column, Summary, text

PIPE_WIDTH = 200
"""Columns where no terminal says how many it has."""


def print_summary(rows: Summary, width: int | None = None) -> None:
    """The summary by its levels, without columns that say nothing.

    Where the terminal (or `width`) has too little room, levels that are the same in every row move into the title; then columns are
    left out, from the right of what can be spared, the errors last. It is all in summary.json.
    """
    if not rows:
        return
    columns = rows.columns()
    screen = console(width)
    titled = [] if _fits(columns, rows, screen.width) else [one for one in columns if _is_shared(one, rows)]
    columns = [one for one in columns if one not in titled]
    shown = _fitting(columns, rows, screen.width)
    title = ": ".join(["Summary", *filter(None, [", ".join(f"{one.title} {one.cell(rows[0])}" for one in titled)])])
    room = screen.width - sum(_width(one, rows) for one in shown if not one.wraps)
    table = Table(title=Text(title), title_justify="left", box=None, pad_edge=False)
    for one in shown:
        table.add_column(one.title, justify="left" if one.is_key or one.wraps else "right", no_wrap=not one.wraps)
    before: list[str] = []
    for row in rows:
        keys = [one.cell(row) for one in shown if one.is_key]
        rest = [Text(_folded(one.cell(row), room) if one.wraps else one.cell(row)) for one in shown if not one.is_key]
        table.add_row(*_unrepeated(keys, before), *rest)
        before = keys
    screen.print(table)
    left_out = [one.title for one in columns if one not in shown]
    if left_out:
        screen.print(f"no room for: {', '.join(left_out)}; see summary.json", soft_wrap=True)


def _fitting(columns: Sequence[Column], rows: Sequence[Mapping[str, JSON]], width: int) -> list[Column]:
    """Those that fit beside each other: keys and what is always shown stay, whatever the width."""
    shown = list(columns)
    spare = sorted((one for one in columns if not (one.is_key or one.always)), key=lambda one: not one.wraps)
    while spare and not _fits(shown, rows, width):
        shown.remove(spare.pop())
    return shown


def _fits(columns: Sequence[Column], rows: Sequence[Mapping[str, JSON]], width: int) -> bool:
    return sum(_width(one, rows) for one in columns) <= width


def _is_shared(column: Column, rows: Sequence[Mapping[str, JSON]]) -> bool:
    """Whether a level of the hierarchy says the same in every row."""
    return column.is_key and not column.always and len({column.cell(row) for row in rows}) == 1


def _folded(cell: str, width: int) -> str:
    """In lines that end between names, never between a name and its count."""
    pieces = cell.replace(" ", "\u00a0").replace(",\u00a0", ", ")
    return "\n".join(wrap(pieces, max(1, width), break_long_words=False)).replace("\u00a0", " ")


def _width(column: Column, rows: Sequence[Mapping[str, JSON]]) -> int:
    """With the two blanks between columns; a column that wraps needs room for its longest word."""
    cells = [column.title, *(column.cell(row) for row in rows)]
    pieces = [word for cell in cells for word in cell.split(", ")] if column.wraps else cells
    return max(map(len, pieces)) + 2


def console(width: int | None = None) -> Console:
    found = Console(highlight=False, width=width)
    return found if found.is_terminal or width else Console(highlight=False, width=PIPE_WIDTH)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A plain table; numbers to the right."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) or row[index] is None for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(text(cell)) for cell in row))
    console().print(table)


def _unrepeated(keys: Sequence[str], before: Sequence[str]) -> list[Text]:
    """Levels of the hierarchy that the line above said already stay blank."""
    same = 0
    while same < len(before) and keys[same] == before[same]:
        same += 1
    return [Text("" if index < same else key) for index, key in enumerate(keys)]
