"""Compare runs: their records in one table, the levels of an axis pair by pair, or the runs stage by stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from providers.errors import InputError
from providers.messages import JSON
from providers.suggestion import suggestion
from runners.journal.sinks.record_table import record_schema

from ...config.extras import require_extra
from ...ui.text_table import TextTable
from ..run_directory.run_records import RunRecords
from .contrast import AXES, COLUMN, RUN, Contrast, Question, compare_levels
from .document import contrast_row, contrast_table
from .external_results import read_external_results
from .stages import MEASURED, GapRow, StageFigures, figures_of, gaps_to

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class StageComparison:
    """The figures of several stages and their gaps to a competitor."""

    stages: tuple[StageFigures, ...]
    competitor: StageFigures | None
    gaps: tuple[GapRow, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every level of an axis compared with the baseline; shown as a table in a notebook."""

    axis: str
    contrasts: tuple[Contrast, ...]

    def table(self) -> TextTable:
        """Build the table of all contrasts."""
        return contrast_table(self.axis, self.contrasts)

    def to_markdown(self) -> str:
        """Format the table as Markdown."""
        return self.table().to_markdown()

    def to_latex(self) -> str:
        """Format the table as LaTeX for the package `booktabs`."""
        return self.table().to_latex()

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per contrast with unrounded figures. This needs the extra `analysis`."""
        require_extra("pandas")
        import pandas as pd

        return pd.json_normalize([contrast_row(contrast) for contrast in self.contrasts])

    def as_json(self) -> dict[str, JSON]:
        """Return all contrasts as JSON values."""
        return {"axis": self.axis, "contrasts": [contrast_row(contrast) for contrast in self.contrasts]}

    def _repr_html_(self) -> str:
        return self.table().to_html()


def compare_runs(runs: Sequence[RunRecords], question: Question) -> Comparison:
    """Compare the levels of an axis over the records of all `runs`; the axis `run` compares the runs themselves.

    On another axis the records of several runs are pooled. A sample may then be in only one of them, unless `by` contains `run`.
    """
    require_extra("numpy", "scipy")
    compares_runs = RUN in (question.axis, *question.by)
    columns = _columns(question, needs_ids=len(runs) > 1 and not compares_runs)
    tables = [run.to_arrow(columns) for run in runs]
    names = _names([run.path for run in runs])
    if compares_runs:
        tables = [
            table.append_column(RUN, pa.repeat(name, table.num_rows)) for name, table in zip(names, tables, strict=True)
        ]
    elif len(runs) > 1:
        _require_disjoint(tables)
    if question.axis == RUN and question.baseline is None:
        question = replace(question, baseline=names[0])
    return Comparison(question.axis, tuple(compare_levels(pa.concat_tables(tables), question)))


def _columns(question: Question, *, needs_ids: bool) -> list[str]:
    """Return the columns that a comparison reads. Raises InputError for a column that records do not have."""
    known = record_schema().names
    for name in question.by:
        if name not in (*known, RUN):
            raise InputError(f"compare: records have no column {name!r}; {suggestion(name, known)}")
    of_records = [name for name in (*AXES, *question.by) if name != RUN]
    ids = ["sample_id"] if needs_ids else []
    return list(dict.fromkeys([*of_records, "family", "task_id", "epoch", COLUMN[question.measure], *ids]))


def compare_stages(paths: Sequence[Path], competitor: Path | None) -> StageComparison:
    """Compute the figures of every run directory or external result file, and the gaps to `competitor`, which may be either."""
    names = _names(paths)
    stages = [stage for name, path in zip(names, paths, strict=True) for stage in _figures(name, path)]
    if competitor is None:
        return StageComparison(tuple(stages), None, ())
    rivals = _figures(competitor.name, competitor)
    if len(rivals) > 1:
        raise InputError(f"{competitor} contains {len(rivals)} benchmarks; a competitor must be a single benchmark")
    return StageComparison(tuple(stages), rivals[0], tuple(gaps_to(rivals[0], stages)))


def _figures(name: str, path: Path) -> list[StageFigures]:
    return (
        [figures_of(name, RunRecords.load(path).to_arrow(MEASURED))] if path.is_dir() else read_external_results(path)
    )


def _names(paths: Sequence[Path]) -> list[str]:
    """Return the directory names of the runs, with the parent folder where two names are equal."""
    short = [path.resolve().name for path in paths]
    return [
        name if short.count(name) == 1 else f"{path.resolve().parent.name}/{name}"
        for name, path in zip(short, paths, strict=True)
    ]


def _require_disjoint(tables: Sequence[pa.Table]) -> None:
    ids = pa.chunked_array([chunk for table in tables for chunk in table["sample_id"].chunks], pa.string())
    if pc.count_distinct(ids).as_py() < len(ids):
        raise InputError("compare: the runs hold the same samples; choose the axis run to compare the runs themselves")
