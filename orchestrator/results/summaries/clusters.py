"""Scores summed by cluster, table by table. The intervals of a summary are computed from these sums.

A cluster is a family of tasks, or one task with all its epochs. Only the sums of the clusters are kept in memory, not the samples.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from ..stats.intervals import ClusterMoments
from .grouping import GROUP

HELD_ROWS = 100_000
"""Rows of partial sums that are kept before the rows of one cluster are merged."""
CLUSTER = "cluster"
MOMENTS = ("k", "s", "squares", "products", "sizes")


def cluster_of(records: pa.Table) -> pa.ChunkedArray:
    """Return the cluster of every sample: its family, or its task where it has no family."""
    is_alone = pc.fill_null(pc.equal(records["family"], ""), True)
    return pc.if_else(is_alone, records["task_id"], records["family"])


class ClusterSums:
    """Sums for every cluster of every group: s, the sum of its scores, and k, the number of its scores."""

    def __init__(self, held_rows: int = HELD_ROWS) -> None:
        self._pieces: list[pa.Table] = []
        self._held = 0
        self._most = held_rows

    def add(self, records: pa.Table, value: str) -> None:
        """Add the rows of `records` with a score in the column `value`. They have a group column."""
        scored = records.filter(pc.is_valid(records[value]))
        table = pa.table({GROUP: scored[GROUP], CLUSTER: cluster_of(scored), "s": scored[value]})
        sums = table.group_by([GROUP, CLUSTER], use_threads=False).aggregate([("s", "sum"), ("s", "count")])
        self._pieces.append(sums.rename_columns([GROUP, CLUSTER, "s", "k"]))
        self._held += sums.num_rows
        if self._held > self._most:
            self._pieces = [self._merged()]
            self._held = self._pieces[0].num_rows
            self._most = max(self._most, 2 * self._held)

    def moments(self) -> Mapping[int, ClusterMoments]:
        """Return the moments by group; groups without a score are left out."""
        return moments_of(self._merged()) if self._held else {}

    def _merged(self) -> pa.Table:
        grouped = pa.concat_tables(self._pieces).group_by([GROUP, CLUSTER], use_threads=False)
        return grouped.aggregate([("s", "sum"), ("k", "sum")]).rename_columns([GROUP, CLUSTER, "s", "k"])


def moments_of(sums: pa.Table) -> Mapping[int, ClusterMoments]:
    """Return the moments by group. `sums` has one row per cluster, with its group, its sum s and its size k."""
    for name, first, second in (("squares", "s", "s"), ("products", "s", "k"), ("sizes", "k", "k")):
        sums = sums.append_column(name, pc.multiply(sums[first], sums[second]))
    aggregations = [(name, "sum") for name in MOMENTS]
    groups = sums.group_by(GROUP, use_threads=False).aggregate([*aggregations, ([], "count_all")]).to_pylist()
    return {
        group[GROUP]: ClusterMoments(group["count_all"], *(group[f"{name}_sum"] for name in MOMENTS))
        for group in groups
    }
