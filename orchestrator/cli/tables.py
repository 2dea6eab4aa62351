"""Printing of tables on the terminal. Control characters are removed from texts of servers and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from providers.messages import JSON

from ..results.summaries.summary_table import Column, Summary, text

PIPE_WIDTH = 200
"""The width in characters where the output is not a terminal."""


def print_summary(rows: Summary, width: int | None = None) -> None:
    """Print the summary without the columns that only hold default values.

    Where the terminal (or `width`) is too narrow, grouping columns with one value in all rows move into the title. Then optional columns
    are left out from the right, the errors last. summary.json has all columns.
    """
    if not rows:
        return
    columns = rows.columns()
    screen = console(width)
    titled = [] if _fits(columns, rows, screen.width) else [column for column in columns if _is_shared(column, rows)]
    columns = [column for column in columns if column not in titled]
    shown = _fitting(columns, rows, screen.width)
    shared_levels = ", ".join(f"{column.title} {column.cell(rows[0])}" for column in titled)
    title = f"Summary: {shared_levels}" if shared_levels else "Summary"
    room = screen.width - sum(_width(column, rows) for column in shown if not column.wraps)
    table = Table(title=Text(title), title_justify="left", box=None, pad_edge=False)
    for column in shown:
        justify: Literal["left", "right"] = "left" if column.is_key or column.wraps else "right"
        table.add_column(column.title, justify=justify, no_wrap=not column.wraps)
    before: list[str] = []
    for row in rows:
        keys = [column.cell(row) for column in shown if column.is_key]
        table.add_row(*_unrepeated(keys, before), *(_text(column, row, room) for column in shown if not column.is_key))
        before = keys
    screen.print(table)
    left_out = [column.title for column in columns if column not in shown]
    if left_out:
        screen.print(f"no room for: {', '.join(left_out)}; see summary.json", soft_wrap=True)


def _text(column: Column, row: Mapping[str, JSON], width: int) -> Text:
    return Text(_folded(column.cell(row), width) if column.wraps else column.cell(row))


def _fitting(columns: Sequence[Column], rows: Sequence[Mapping[str, JSON]], width: int) -> list[Column]:
    """Return the columns that fit into `width`; grouping columns and those that are always shown are never left out."""
    shown = list(columns)
    optional = [column for column in columns if not (column.is_key or column.always)]
    optional.sort(key=lambda column: not column.wraps)
    while optional and not _fits(shown, rows, width):
        shown.remove(optional.pop())
    return shown


def _fits(columns: Sequence[Column], rows: Sequence[Mapping[str, JSON]], width: int) -> bool:
    return sum(_width(column, rows) for column in columns) <= width


def _is_shared(column: Column, rows: Sequence[Mapping[str, JSON]]) -> bool:
    """Return whether a grouping column has one value in all rows."""
    return column.is_key and not column.always and len({column.cell(row) for row in rows}) == 1


def _folded(cell: str, width: int) -> str:
    """Break a cell into lines between names, never between a name and its count."""
    pieces = cell.replace(" ", "\u00a0").replace(",\u00a0", ", ")
    return "\n".join(wrap(pieces, max(1, width), break_long_words=False)).replace("\u00a0", " ")


def _width(column: Column, rows: Sequence[Mapping[str, JSON]]) -> int:
    """Return the width of a column with the two blanks before the next; one that wraps needs room for its longest entry."""
    cells = [column.title, *(column.cell(row) for row in rows)]
    pieces = [word for cell in cells for word in cell.split(", ")] if column.wraps else cells
    return max(map(len, pieces)) + 2


def console(width: int | None = None) -> Console:
    """Return a console for standard output with the width of the terminal, `width` or PIPE_WIDTH."""
    terminal = Console(highlight=False, width=width)
    return terminal if terminal.is_terminal or width else Console(highlight=False, width=PIPE_WIDTH)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a plain table; columns of numbers are aligned to the right."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) or row[index] is None for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(text(cell)) for cell in row))
    console().print(table)


def _unrepeated(keys: Sequence[str], before: Sequence[str]) -> list[Text]:
    """Return the grouping cells; values that are the same as in the row above are left blank."""
    same = 0
    while same < len(before) and keys[same] == before[same]:
        same += 1
    return [Text("" if index < same else key) for index, key in enumerate(keys)]
