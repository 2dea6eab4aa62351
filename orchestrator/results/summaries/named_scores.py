"""Further scores of samples by name (`Score.values`), summed by group and cluster, with the interval of each mean."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from providers.messages import JSON

from ..stats.intervals import CONFIDENCE, Estimate, estimate_from, t_of
from .clusters import ClusterSums
from .grouping import GROUP

COLUMN = "score_values"


class NamedScores:
    """The further scores of every group. Samples whose scorer gave none do not count."""

    def __init__(self) -> None:
        self._sums: defaultdict[str, ClusterSums] = defaultdict(ClusterSums)
        self._beyond = set[str]()

    def add(self, records: pa.Table) -> None:
        """Add the rows of `records`, which have a group column. Results of earlier versions have no such scores."""
        if COLUMN not in records.column_names:
            return
        rows = records.filter(pc.is_valid(records[COLUMN])).select([GROUP, "family", "task_id", COLUMN])
        by_name: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for place, text in enumerate(rows[COLUMN].to_pylist()):
            for name, value in orjson.loads(text).items():
                if value is not None:  # JSON has no NaN
                    by_name[name].append((place, float(value)))
        for name, values in by_name.items():
            places, scores = zip(*values, strict=True)
            if not 0 <= min(scores) <= max(scores) <= 1:
                self._beyond.add(name)
            scored = rows.take(pa.array(places, pa.int64()))
            self._sums[name].add(scored.append_column("value", pa.array(scores, pa.float64())), "value")

    def by_group(self) -> Mapping[int, Mapping[str, JSON]]:
        """Return {name: {mean, low, high, n}} for every group that has such scores."""
        figures: defaultdict[int, dict[str, JSON]] = defaultdict(dict)
        for name, sums in sorted(self._sums.items()):
            for group, moments in sums.moments().items():
                estimate = estimate_from(moments, is_binary=False)
                low, high = self._interval(name, estimate)
                figures[group][name] = {"mean": estimate.value, "low": low, "high": high, "n": estimate.n}
        return figures

    def _interval(self, name: str, estimate: Estimate) -> tuple[float, float]:
        """Return the interval of a mean; scores may lie beyond [0, 1], where one cluster tells nothing."""
        if name not in self._beyond:
            return estimate.interval.low, estimate.interval.high
        if estimate.clusters < 2:
            return -math.inf, math.inf
        half = t_of(CONFIDENCE, estimate.clusters - 1) * estimate.standard_error
        return estimate.value - half, estimate.value + half
