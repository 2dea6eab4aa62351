"""A run directory as frames: read it, group it, summarise it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from providers.errors import InputError
from providers.suggestion import suggestion
from runners.journal.sinks.parquet import record_schema

from ..config.extras import require_extra
from .compare.comparability import Obstacle, find_obstacles
from .directory import RunDirectory
from .run_records import RunRecords
from .summary import HIERARCHY, SUMMARISED, Weights, summarise
from .summary_table import Summary, SummaryRow

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from .compare.comparison import Comparison
    from .compare.contrast import Measure


HEADLINE = ("model", "prompt_type")


class Run(RunRecords):
    """The results of one run; `path` is its directory."""

    def to_pandas(self) -> pd.DataFrame:
        """The same as a pandas DataFrame (needs the extra `analysis`)."""
        require_extra("pandas")
        return self.to_arrow().to_pandas()

    def to_polars(self) -> pl.DataFrame:
        """The same as a polars DataFrame (needs the extra `analysis`)."""
        require_extra("polars")
        import polars as pl

        frame = pl.from_arrow(self.to_arrow())
        assert isinstance(frame, pl.DataFrame)  # a table is never a Series
        return frame

    def summary(self, by: Sequence[str] | str = HIERARCHY, weights: Weights | None = None) -> Summary:
        """One row per group, see `summarise`; `weights` in place of those under `scoring.weights` of the run's file.

        Raises InputError where `by` names no column.
        """
        levels = list(dict.fromkeys([by] if isinstance(by, str) else by))
        for name in levels:
            if name not in record_schema().names:
                raise InputError(f"records have no column {name!r}; {suggestion(name, record_schema().names)}")
        return summarise(self.tables([*dict.fromkeys([*levels, *SUMMARISED])]), levels, weights or self._weights())

    def compare(
        self,
        other: Run | Sequence[Run] = (),
        *,
        axis: str | None = None,
        baseline: str | None = None,
        by: Sequence[str] | str = (),
        measure: Measure = "success",
    ) -> Comparison:
        """Is one level of an axis better than the baseline, on the samples that both have scored? Paired, with intervals.

        `axis` is model, prompt_type, tool_success_rate or run: by default the runs where there are `other` ones, else the models. The
        `baseline` is the first level by name, of runs this one. `by` names columns to compare within. Raises InputError where there is
        nothing to compare.
        """
        from .compare.comparison import compare_runs
        from .compare.contrast import Question

        runs = [self, *([other] if isinstance(other, Run) else other)]
        chosen = axis or ("run" if len(runs) > 1 else "model")
        within = (by,) if isinstance(by, str) else tuple(by)
        return compare_runs(runs, Question(chosen, baseline, within, measure))

    def obstacles(self, by: str = "model") -> list[Obstacle]:
        """What stands in the way of a ranking by one column: groups whose missing samples differ too much."""
        return find_obstacles(self.summary([by]), by)

    def drifts(self) -> list[str]:
        """Why samples of some instances should not be pooled with the others', as `run.drift_check` found in any execution."""
        said = (line for one in RunDirectory(self.path).executions() for line in one.get("drifts") or ())
        return list(dict.fromkeys(said))

    def refusals(self) -> list[str]:
        """Models of which the last execution saw too much refused, unreadable or ungradable."""
        executions = RunDirectory(self.path).executions()
        return list(executions[-1].get("refusals") or ()) if executions else []

    def ranking(self, by: str = "model") -> list[str]:
        """The groups by success rate, the best first. Raises InputError where they are not comparable."""
        obstacles = self.obstacles(by)
        if obstacles:
            raise InputError(f"{obstacles[0]}; resume {self.path} first")
        scored = [row for row in self.summary([by]) if isinstance(row["success_rate"], float)]
        return [str(row[by]) for row in sorted(scored, key=_by_rate, reverse=True)]

    def _weights(self) -> Weights:
        scoring = self.manifest.raw.get("scoring") or {}
        return Weights(**(scoring.get("weights") or {}))

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the summary by model and prompt type, and how many of the samples it is of."""
        rows = self.summary(HEADLINE)
        final = sum(_count(row, "total") - _count(row, "infra_failures") - _count(row, "not_run") for row in rows)
        title = f"{self.path.name}: {final:,} of {self.manifest.total:,} samples have a final record"
        warnings = [*self.refusals(), *self.drifts(), *map(str, self.obstacles())]
        return rows.table(title).to_html() + "".join(f"<p>warning: {escape(one)}</p>\n" for one in warnings)


def _count(row: SummaryRow, name: str) -> int:
    count = row[name]
    return count if isinstance(count, int) else 0


def _by_rate(row: SummaryRow) -> float:
    rate = row["success_rate"]
    return rate if isinstance(rate, float) else -1.0
