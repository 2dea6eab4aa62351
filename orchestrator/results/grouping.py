"""Numbers for groups: to tell a million rows apart by five texts each takes seconds and gigabytes, by one number neither."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from providers.messages import JSON

GROUP = "group"


def numbered(columns: Sequence[pa.ChunkedArray]) -> pa.Array:
    """A number for every combination of the columns' values, the same for equal rows of this call."""
    number = pa.repeat(pa.scalar(0, pa.int64()), len(columns[0]))
    for column in columns:
        encoded = pa.chunked_array(column).combine_chunks().dictionary_encode(null_encoding="encode")
        number = pc.add(pc.multiply(number, len(encoded.dictionary)), encoded.indices)
    return number


class Groups:
    """The groups of the columns `by`, numbered as they come up, over tables that come one by one."""

    def __init__(self, by: Sequence[str]) -> None:
        self._by = list(by)
        self._numbers: dict[tuple[JSON, ...], int] = {}

    def told_apart(self, table: pa.Table) -> pa.Table:
        """With the number of every row's group."""
        if not self._by:
            return table.append_column(GROUP, pa.repeat(pa.scalar(self._number(()), pa.int64()), table.num_rows))
        here = numbered([table[name] for name in self._by])
        places = pa.table({"here": here, "row": pa.array(range(len(here)), pa.int64())})
        firsts = places.group_by("here", use_threads=False).aggregate([("row", "min")])
        names = table.select(self._by).take(firsts["row_min"]).to_pylist()
        known = pa.array([self._number(tuple(row[name] for name in self._by)) for row in names], pa.int64())
        return table.append_column(GROUP, known.take(pc.index_in(here, value_set=firsts["here"].combine_chunks())))

    def levels(self) -> dict[int, Mapping[str, JSON]]:
        """What each number stands for."""
        return {number: dict(zip(self._by, key, strict=True)) for key, number in self._numbers.items()}

    def _number(self, key: tuple[JSON, ...]) -> int:
        return self._numbers.setdefault(key, len(self._numbers))
