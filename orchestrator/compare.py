"""Comparing runs: their records in one table, the levels of an axis pair by pair, or the runs stage by stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from providers.errors import InputError

from .comparison.contrast import Contrast, Question, compare_levels
from .comparison.foreign import read_foreign
from .comparison.stages import GapRow, StageFigures, figures_of, gaps_to
from .results import Run


@dataclass(frozen=True, slots=True)
class StageComparison:
    stages: tuple[StageFigures, ...]
    competitor: StageFigures | None
    gaps: tuple[GapRow, ...]


def compare_runs(runs: Sequence[Run], question: Question) -> list[Contrast]:
    """Contrast the levels of an axis over the records of all `runs`; the axis `run` is the runs themselves.

    Several runs and another axis: their records are pooled, so a sample may stand in one of them only.
    """
    tables = [run.to_arrow() for run in runs]
    if question.axis == "run":
        names = _names([run.path for run in runs])
        tables = [
            table.append_column("run", pa.array([name] * table.num_rows, pa.string()))
            for name, table in zip(names, tables, strict=True)
        ]
        question = _first_run_as_baseline(question, names)
    elif len(runs) > 1:
        _require_disjoint(tables)
    return compare_levels(pa.concat_tables(tables), question)


def compare_stages(paths: Sequence[Path], competitor: Path | None) -> StageComparison:
    """Figures of every run directory or foreign result file in `paths`, and the gaps to `competitor`, which is either too."""
    names = _names(paths)
    stages = [stage for name, path in zip(names, paths, strict=True) for stage in _figures(name, path)]
    if competitor is None:
        return StageComparison(tuple(stages), None, ())
    rivals = _figures(competitor.name, competitor)
    if len(rivals) > 1:
        raise InputError(f"{competitor} holds {len(rivals)} benchmarks; a competitor is one")
    return StageComparison(tuple(stages), rivals[0], tuple(gaps_to(rivals[0], stages)))


def _figures(name: str, path: Path) -> list[StageFigures]:
    return [figures_of(name, Run.load(path).to_arrow())] if path.is_dir() else read_foreign(path)


def _names(paths: Sequence[Path]) -> list[str]:
    """The runs' directory names; where two share one, with the folder above."""
    short = [path.resolve().name for path in paths]
    return [
        name if short.count(name) == 1 else f"{path.resolve().parent.name}/{name}"
        for name, path in zip(short, paths, strict=True)
    ]


def _first_run_as_baseline(question: Question, names: Sequence[str]) -> Question:
    return Question(question.axis, question.baseline or names[0], question.by, question.measure)


def _require_disjoint(tables: Sequence[pa.Table]) -> None:
    held: set[str] = set()
    for table in tables:
        ids = set(table["sample_id"].to_pylist())
        if ids & held:
            raise InputError("compare: the runs hold the same samples; use --by run to compare the runs themselves")
        held |= ids
