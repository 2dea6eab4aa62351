"""The summary as a table: its columns, the text of their cells, and which columns are left out because they add nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from providers.messages import JSON

from ...config.extras import require_extra
from ...ui.terminal import printable
from ...ui.text_table import TextTable

if TYPE_CHECKING:
    import pandas as pd

SummaryRow = Mapping[str, JSON]

TITLES = {"prompt_type": "prompt", "tool_success_rate": "tool rate", "task_type": "task type"}
USUAL = {"tool_success_rate": "1", "difficulty": "default", "task_type": "default"}
"""The default values of the grouping columns."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the summary table: its title, the text of its cells and when it is shown."""

    title: str
    cell: Callable[[SummaryRow], str]
    is_key: bool = False
    """Whether it is a grouping column."""
    nothing: str = ""
    """The column is left out where every cell has this text, unless it is `always` shown."""
    always: bool = False
    wraps: bool = False
    """Whether long cells are wrapped."""


class Summary(list[SummaryRow]):
    """The rows of a summary, one mapping per group of the columns `by`. A notebook shows it as a table."""

    def __init__(self, rows: Iterable[SummaryRow], by: Sequence[str]) -> None:
        super().__init__(rows)
        self.by = tuple(by)

    def columns(self) -> list[Column]:
        """Return the columns that are shown: those where a cell differs from the default."""
        names = dict.fromkeys(name for row in self for name in _values(row))
        all_columns = [*map(_key_column, self.by), *FIGURES[:-1], *map(_value_column, names), FIGURES[-1]]
        return [
            column for column in all_columns if column.always or {column.cell(row) for row in self} != {column.nothing}
        ]

    def table(self, title: str = "Summary") -> TextTable:
        """Return the shown columns as a table of texts."""
        shown = self.columns() if self else []
        cells = tuple(tuple(column.cell(row) for column in shown) for row in self)
        titles = tuple(column.title for column in shown)
        return TextTable(title, titles, cells, keys=sum(column.is_key for column in shown))

    def to_markdown(self) -> str:
        """Return the table in Markdown."""
        return self.table().to_markdown()

    def to_latex(self) -> str:
        """Return the table in LaTeX; it needs the package `booktabs`."""
        return self.table().to_latex()

    def to_pandas(self) -> pd.DataFrame:
        """Return all columns as a pandas DataFrame, without rounding (needs the extra `analysis`)."""
        require_extra("pandas")
        import pandas as pd

        return pd.DataFrame(list(self))

    def _repr_html_(self) -> str:
        return self.table().to_html()


def _key_column(name: str) -> Column:
    title, usual = TITLES.get(name, name.replace("_", " ")), USUAL.get(name, "")
    return Column(title, _plain(name), is_key=True, nothing=usual, always=name not in USUAL)


def _values(row: SummaryRow) -> Mapping[str, JSON]:
    values = row.get("values")
    return values if isinstance(values, Mapping) else {}


def _value_column(name: str) -> Column:
    """Return the column of a further score: its mean and its 95 % interval."""

    def cell(row: SummaryRow) -> str:
        value = _values(row).get(name)
        if not isinstance(value, Mapping):
            return ""
        mean, low, high = (_number(value[key], 3) for key in ("mean", "low", "high"))
        return f"{mean} [{low}, {high}]"

    return Column(text(name), cell)


def _plain(name: str) -> Callable[[SummaryRow], str]:
    return lambda row: text(row[name])


def _mean(name: str, digits: int) -> Callable[[SummaryRow], str]:
    return lambda row: _number(row[name], digits)


FIGURES = (
    Column("total", _plain("total"), always=True),
    Column("full", _plain("successful"), always=True),
    Column("partial", _plain("partial"), nothing="0"),
    Column("wrong", _plain("failed"), always=True),
    Column("ungraded", _plain("ungraded"), nothing="0"),
    Column("infra", _plain("infra_failures"), always=True),
    Column("not run", _plain("not_run"), nothing="0"),
    Column("cut off", _plain("cut_off"), nothing="0"),
    Column("success", lambda row: _percent(row["success_rate"]), always=True),
    Column("95 %", lambda row: _interval(row, "success")),
    Column("if missing", lambda row: _bounds(row)),
    Column("score", _mean("mean_score", 3)),
    Column("weighted", lambda row: _unless_same(row, "weighted_score", "mean_score")),
    Column("mean s", _mean("mean_time_s", 2)),
    Column("turns", _mean("mean_turns", 1), nothing="1.0"),
    Column("tools", _mean("mean_tool_calls", 1), nothing="0.0"),
    Column("unread", _plain("tool_unreadable"), nothing="0"),
    Column("tool success", lambda row: _realised(row)),
    Column("coverage", _mean("tool_coverage", 2), nothing="n/a"),
    Column("judge $", _mean("judge_cost_usd", 4), nothing="n/a"),
    Column("errors", lambda row: _named(row["errors"]), wraps=True),
)


def cut_off_sentences(rows: Summary) -> list[str]:
    """Return a sentence for each model whose answers were cut off. `rows` are by model."""
    return [
        f"{row['cut_off']} of the {row['total']} samples of {row['model']} were cut off by max_tokens (finish reason length): "
        "they are scored as they stand; a higher generation.max_tokens is another run"
        for row in rows
        if row["cut_off"]
    ]


def unreadable_sentences(rows: Summary) -> list[str]:
    """Return a sentence for each model with tool calls that could not be read. `rows` are by model."""
    return [
        f"{row['tool_unreadable']} of the {row['tool_calls']} tool calls of {row['model']} could not be read: "
        "no known tool stands in their text, which the column tool_trace keeps"
        for row in rows
        if row["tool_unreadable"]
    ]


def _named(errors: JSON) -> str:
    return text(", ".join(f"{name} {count}" for name, count in errors.items()) if isinstance(errors, Mapping) else "")


def _interval(row: SummaryRow, name: str) -> str:
    """Format an interval; empty where there is none or where it is [0, 1]."""
    if row[f"{name}_low"] is None or (row[f"{name}_low"], row[f"{name}_high"]) == (0.0, 1.0):
        return ""
    low, high = (_percent(row[f"{name}_{end}"]).removesuffix(" %") for end in ("low", "high"))
    return f"[{low}, {high}]"


def _bounds(row: SummaryRow) -> str:
    """Format the success rate with all missing samples as failed, and as passed."""
    return f"{_percent(row['success_rate_worst'])}–{_percent(row['success_rate_best'])}" if row["missing_rate"] else ""


def _unless_same(row: SummaryRow, name: str, other: str) -> str:
    shown = _number(row[name], 3)
    return "" if shown == _number(row[other], 3) else shown


def _realised(row: SummaryRow) -> str:
    """Format the share of successful tool calls with its interval; empty where all calls succeeded."""
    if row["tool_success"] in (None, 1.0):
        return ""
    return f"{_percent(row['tool_success'])} {_interval(row, 'tool_success')}"


def _percent(value: JSON) -> str:
    return f"{100 * value:.1f} %" if isinstance(value, float) else "n/a"


def _number(value: JSON, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, int | float) else "n/a"


def text(value: object) -> str:
    """Format a value on one line, floats without trailing zeros."""
    shown = "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return printable(shown)
