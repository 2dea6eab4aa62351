"""A summary as people see it: which columns there are, what they say, and which say nothing and are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from providers.messages import JSON

from ..config.extras import require_extra
from ..ui.terminal import printable
from ..ui.text_table import TextTable

if TYPE_CHECKING:
    import pandas as pd

SummaryRow = Mapping[str, JSON]

TITLES = {"prompt_type": "prompt", "tool_success_rate": "tool rate", "task_type": "task type"}
USUAL = {"tool_success_rate": "1", "difficulty": "default", "task_type": "default"}
"""What a level says where nobody has chosen one."""


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    cell: Callable[[SummaryRow], str]
    is_key: bool = False
    nothing: str = ""
    """Where every row says this, the column is left out, unless it is `always` shown."""
    always: bool = False
    wraps: bool = False


class Summary(list[SummaryRow]):
    """The rows of a summary, one per group of `by`; a table in a notebook."""

    def __init__(self, rows: Iterable[SummaryRow], by: Sequence[str]) -> None:
        super().__init__(rows)
        self.by = tuple(by)

    def columns(self) -> list[Column]:
        """Those that say something."""
        all_columns = [*map(_key_column, self.by), *FIGURES]
        return [one for one in all_columns if one.always or {one.cell(row) for row in self} != {one.nothing}]

    def table(self, title: str = "Summary") -> TextTable:
        shown = self.columns() if self else []
        cells = tuple(tuple(one.cell(row) for one in shown) for row in self)
        return TextTable(title, tuple(one.title for one in shown), cells, keys=sum(one.is_key for one in shown))

    def to_markdown(self) -> str:
        return self.table().to_markdown()

    def to_latex(self) -> str:
        """For the package `booktabs`."""
        return self.table().to_latex()

    def to_pandas(self) -> pd.DataFrame:
        """Every figure, rounded nowhere (needs the extra `analysis`)."""
        require_extra("pandas")
        import pandas as pd

        return pd.DataFrame(list(self))

    def _repr_html_(self) -> str:
        return self.table().to_html()


def _key_column(name: str) -> Column:
    title, usual = TITLES.get(name, name.replace("_", " ")), USUAL.get(name, "")
    return Column(title, _plain(name), is_key=True, nothing=usual, always=name not in USUAL)


def _plain(name: str) -> Callable[[SummaryRow], str]:
    return lambda row: text(row[name])


def _mean(name: str, digits: int) -> Callable[[SummaryRow], str]:
    return lambda row: _number(row[name], digits)


FIGURES = (
    Column("total", _plain("total"), always=True),
    Column("full", _plain("successful"), always=True),
    Column("partial", _plain("partial"), nothing="0"),
    Column("wrong", _plain("failed"), always=True),
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
    Column("tool success", lambda row: _realised(row)),
    Column("coverage", _mean("tool_coverage", 2), nothing="n/a"),
    Column("judge $", _mean("judge_cost_usd", 4), nothing="n/a"),
    Column("errors", lambda row: _named(row["errors"]), wraps=True),
)


def cut_off_sentences(rows: Summary) -> list[str]:
    """Say of which models answers were cut off. `rows` are by model."""
    return [
        f"{row['cut_off']} of the {row['total']} samples of {row['model']} were cut off by max_tokens (finish reason length): "
        "they are scored as they stand; a higher generation.max_tokens is another run"
        for row in rows
        if row["cut_off"]
    ]


def _named(errors: JSON) -> str:
    return text(", ".join(f"{name} {count}" for name, count in errors.items()) if isinstance(errors, Mapping) else "")


def _interval(row: SummaryRow, name: str) -> str:
    """Blank where nothing is known: no interval, or one that leaves everything open."""
    if row[f"{name}_low"] is None or (row[f"{name}_low"], row[f"{name}_high"]) == (0.0, 1.0):
        return ""
    low, high = (_percent(row[f"{name}_{end}"]).removesuffix(" %") for end in ("low", "high"))
    return f"[{low}, {high}]"


def _bounds(row: SummaryRow) -> str:
    """The success rate with everything that is missing as failed, and as passed."""
    return f"{_percent(row['success_rate_worst'])}–{_percent(row['success_rate_best'])}" if row["missing_rate"] else ""


def _unless_same(row: SummaryRow, name: str, other: str) -> str:
    shown = _number(row[name], 3)
    return "" if shown == _number(row[other], 3) else shown


def _realised(row: SummaryRow) -> str:
    """The share of calls that went well, with its interval; blank where all did: no failures were asked for, and none came."""
    if row["tool_success"] in (None, 1.0):
        return ""
    return f"{_percent(row['tool_success'])} {_interval(row, 'tool_success')}"


def _percent(value: JSON) -> str:
    return f"{100 * value:.1f} %" if isinstance(value, float) else "n/a"


def _number(value: JSON, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, int | float) else "n/a"


def text(value: object) -> str:
    """On one line; a float without what says nothing."""
    shown = "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return printable(shown)
