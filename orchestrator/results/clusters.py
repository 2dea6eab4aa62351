"""Successes by cluster, added up piece by piece: what the intervals of a summary are made of.

A cluster is a family of tasks, or a task with all its epochs. Of a million samples only the sums of their clusters are held.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from .grouping import GROUP
from .stats.intervals import ClusterMoments

HELD_ROWS = 100_000
"""Sums that pile up before those of one cluster are put together."""
CLUSTER = "cluster"
MOMENTS = ("k", "s", "squares", "products", "sizes")


def cluster_of(records: pa.Table) -> pa.ChunkedArray:
    """Which samples are not independent: those of one family, else those of one task."""
    is_alone = pc.fill_null(pc.equal(records["family"], ""), True)
    return pc.if_else(is_alone, records["task_id"], records["family"])


class ClusterSums:
    """Of every group, and every cluster in it: s, the sum of its scores, and k, how many they are."""

    def __init__(self, held_rows: int = HELD_ROWS) -> None:
        self._pieces: list[pa.Table] = []
        self._held = 0
        self._most = held_rows

    def add(self, records: pa.Table, value: str) -> None:
        """`records` with their group, and the column `value`: 1 or 0, where there is a grade."""
        scored = records.filter(pc.is_valid(records["grade"]))
        table = pa.table({GROUP: scored[GROUP], CLUSTER: cluster_of(scored), "s": scored[value]})
        sums = table.group_by([GROUP, CLUSTER], use_threads=False).aggregate([("s", "sum"), ("s", "count")])
        self._pieces.append(sums.rename_columns([GROUP, CLUSTER, "s", "k"]))
        self._held += sums.num_rows
        if self._held > self._most:
            self._pieces = [self._together()]
            self._held = self._pieces[0].num_rows
            self._most = max(self._most, 2 * self._held)

    def moments(self) -> Mapping[int, ClusterMoments]:
        """By group; one without a score is not there."""
        return moments_of(self._together()) if self._held else {}

    def _together(self) -> pa.Table:
        grouped = pa.concat_tables(self._pieces).group_by([GROUP, CLUSTER], use_threads=False)
        return grouped.aggregate([("s", "sum"), ("k", "sum")]).rename_columns([GROUP, CLUSTER, "s", "k"])


def moments_of(sums: pa.Table) -> Mapping[int, ClusterMoments]:
    """Of one row per cluster, with its group, its sum s and its size k; by group."""
    for name, first, second in (("squares", "s", "s"), ("products", "s", "k"), ("sizes", "k", "k")):
        sums = sums.append_column(name, pc.multiply(sums[first], sums[second]))
    added = [(name, "sum") for name in MOMENTS]
    groups = sums.group_by(GROUP, use_threads=False).aggregate([*added, ([], "count_all")]).to_pylist()
    return {
        group[GROUP]: ClusterMoments(group["count_all"], *(group[f"{name}_sum"] for name in MOMENTS))
        for group in groups
    }
