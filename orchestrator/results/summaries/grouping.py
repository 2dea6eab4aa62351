"""Numbers for groups. Grouping a million rows by five text columns takes seconds and gigabytes; grouping by one number does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from providers.messages import JSON

GROUP = "group"


def numbered(columns: Sequence[pa.ChunkedArray]) -> pa.Array:
    """Return a number for every row; rows with equal values in all columns get the same number within this call."""
    number = pa.repeat(pa.scalar(0, pa.int64()), len(columns[0]))
    for column in columns:
        encoded = pa.chunked_array(column).combine_chunks().dictionary_encode(null_encoding="encode")
        number = pc.add(pc.multiply(number, len(encoded.dictionary)), encoded.indices)
    return number


class Groups:
    """The groups of the columns `by`, numbered in the order of their first row, over a sequence of tables."""

    def __init__(self, by: Sequence[str]) -> None:
        self._by = list(by)
        self._numbers: dict[tuple[JSON, ...], int] = {}

    def with_numbers(self, table: pa.Table) -> pa.Table:
        """Return `table` with a column that holds the number of each row's group."""
        if not self._by:
            return table.append_column(GROUP, pa.repeat(pa.scalar(self._number(()), pa.int64()), table.num_rows))
        local = numbered([table[name] for name in self._by])
        rows = pa.table({"local": local, "row": pa.array(range(len(local)), pa.int64())})
        firsts = rows.group_by("local", use_threads=False).aggregate([("row", "min")])
        names = table.select(self._by).take(firsts["row_min"]).to_pylist()
        known = pa.array([self._number(tuple(row[name] for name in self._by)) for row in names], pa.int64())
        return table.append_column(GROUP, known.take(pc.index_in(local, value_set=firsts["local"].combine_chunks())))

    def levels(self) -> dict[int, Mapping[str, JSON]]:
        """Return the column values of each number."""
        return {number: dict(zip(self._by, key, strict=True)) for key, number in self._numbers.items()}

    def _number(self, key: tuple[JSON, ...]) -> int:
        return self._numbers.setdefault(key, len(self._numbers))
