"""The results of a run: read them as data frames, group them, summarise them, compare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from providers.errors import InputError
from providers.suggestion import suggestion
from runners.journal.sinks.record_table import record_schema

from ..config.extras import require_extra
from .compare.comparability import Obstacle, find_obstacles
from .run_directory.directory import RunDirectory
from .run_directory.run_records import RunRecords
from .summaries.summary import HIERARCHY, SUMMARISED, Weights, summarise
from .summaries.summary_table import Summary, SummaryRow, cut_off_sentences, unreadable_sentences

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from .compare.comparison import Comparison
    from .compare.contrast import Measure


HEADLINE = ("model", "prompt_type")


class Run(RunRecords):
    """The results of one run; `path` is its directory."""

    def to_pandas(self) -> pd.DataFrame:
        """Return every sample's record as a pandas DataFrame (needs the extra `analysis`)."""
        require_extra("pandas")
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def to_polars(self) -> pl.DataFrame:
        """Return every sample's record as a polars DataFrame (needs the extra `analysis`)."""
        require_extra("polars")
        import polars as pl

        frame = pl.from_arrow(self.to_arrow())
        assert isinstance(frame, pl.DataFrame)  # a table is never a Series
        return frame

    def summary(self, by: Sequence[str] | str = HIERARCHY, weights: Weights | None = None) -> Summary:
        """Return one row per group of the columns `by`, as described at `summarise`.

        `weights` replace those under `scoring.weights` of the run's configuration. Raises InputError where `by` names an unknown column.
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
        """Compare the levels of an axis with a baseline, paired on the samples that both have scored, with confidence intervals.

        `axis` is model, prompt_type, tool_success_rate or run; by default run where there is an `other` run, else model. The default
        `baseline` is the first level by name, or this run on the axis run. `by` names columns to compare within. Raises InputError
        where there is nothing to compare.
        """
        from .compare.comparison import compare_runs
        from .compare.contrast import Question

        runs = [self, *([other] if isinstance(other, Run) else other)]
        chosen = axis or ("run" if len(runs) > 1 else "model")
        within = (by,) if isinstance(by, str) else tuple(by)
        return compare_runs(runs, Question(chosen, baseline, within, measure))

    def obstacles(self, by: str = "model") -> list[Obstacle]:
        """Return why groups of the column `by` cannot be ranked: their shares of missing samples differ too much."""
        return find_obstacles(self.summary([by]), by)

    def drifts(self) -> list[str]:
        """Return why samples of some instances should not be pooled with the others'; `run.drift_check` found these in any execution."""
        executions = RunDirectory(self.path).executions()
        return list(dict.fromkeys(line for execution in executions for line in execution.get("drifts") or ()))

    def refusals(self) -> list[str]:
        """Return warnings on models for which the last execution had too many refused, unreadable or ungradable answers."""
        executions = RunDirectory(self.path).executions()
        return list(executions[-1].get("refusals") or ()) if executions else []

    def doubts(self) -> list[str]:
        """Return a sentence for each model whose answers were cut off by max_tokens, or whose tool calls could not be read."""
        rows = self.summary(["model"])
        return [*cut_off_sentences(rows), *unreadable_sentences(rows)]

    def ranking(self, by: str = "model") -> list[str]:
        """Return the groups of the column `by`, the best success rate first. Raises InputError where they are not comparable."""
        obstacles = self.obstacles(by)
        if obstacles:
            raise InputError(f"{obstacles[0]}; resume {self.path} first")
        scored = [row for row in self.summary([by]) if isinstance(row["success_rate"], float)]
        return [str(row[by]) for row in sorted(scored, key=_by_rate, reverse=True)]

    def _weights(self) -> Weights:
        scoring = self.manifest.raw.get("scoring")
        weights = scoring.get("weights") if isinstance(scoring, Mapping) else None
        return Weights(**(weights or {}))

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the summary by model and prompt type, the number of final records and warnings."""
        rows = self.summary(HEADLINE)
        final = sum(_count(row, "total") - _count(row, "infra_failures") - _count(row, "not_run") for row in rows)
        title = f"{self.path.name}: {final:,} of {self.manifest.total:,} samples have a final record"
        warnings = [*self.refusals(), *self.doubts(), *self.drifts(), *map(str, self.obstacles())]
        return rows.table(title).to_html() + "".join(f"<p>warning: {escape(warning)}</p>\n" for warning in warnings)


def _count(row: SummaryRow, name: str) -> int:
    count = row[name]
    return count if isinstance(count, int) else 0


def _by_rate(row: SummaryRow) -> float:
    rate = row["success_rate"]
    return rate if isinstance(rate, float) else -1.0
