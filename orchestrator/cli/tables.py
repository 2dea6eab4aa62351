"""Tables for people: the plan and the summary. Texts from outside are shown without control characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from providers.messages import JSON

PIPE_WIDTH = 160
"""Columns where no terminal says how many it has."""


def print_summary(rows: Sequence[Mapping[str, JSON]]) -> None:
    """The summary by model → prompt type → tool success rate → difficulty → task type."""
    if not rows:
        return
    table = Table(title="Summary", title_justify="left", box=None, pad_edge=False)
    for name in ("model", "prompt", "tool rate", "difficulty", "task type"):
        table.add_column(name, no_wrap=name == "model")
    for name in ("total", "full", "partial", "failed", "infra", "success", "score", "mean s", "turns", "tools"):
        table.add_column(name, justify="right")
    table.add_column("errors")
    before: Sequence[str] = ()
    for row in rows:
        keys = [_text(row[name]) for name in ("model", "prompt_type", "tool_success_rate", "difficulty", "task_type")]
        table.add_row(*_unrepeated(keys, before), *(Text(cell) for cell in _cells(row)))
        before = keys
    console().print(table)


def console() -> Console:
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A plain table; numbers to the right."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) or row[index] is None for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(cell)) for cell in row))
    console().print(table)


def _unrepeated(keys: Sequence[str], before: Sequence[str]) -> list[Text]:
    """Levels of the hierarchy that the line above said already stay blank."""
    same = 0
    while same < len(before) and keys[same] == before[same]:
        same += 1
    return [Text("" if index < same else key) for index, key in enumerate(keys)]


def _cells(row: Mapping[str, JSON]) -> list[str]:
    counts = [_text(row[name]) for name in ("total", "successful", "partial", "failed", "infra_failures")]
    means = [_percent(row["success_rate"]), _number(row["weighted_score"], 3), _number(row["mean_time_s"], 2)]
    errors = row["errors"]
    named = ", ".join(f"{name} {count}" for name, count in errors.items()) if isinstance(errors, Mapping) else ""
    return [*counts, *means, _number(row["mean_turns"], 1), _number(row["mean_tool_calls"], 1), _text(named)]


def _percent(value: JSON) -> str:
    return f"{100 * value:.1f} %" if isinstance(value, float) else "n/a"


def _number(value: JSON, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, int | float) else "n/a"


def _text(value: object) -> str:
    shown = "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return "".join(sign if sign.isprintable() else " " for sign in shown)
