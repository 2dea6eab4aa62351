"""Compare two runs record by record: are requests, answers and scores the same?

`python -m benchmarks.same_records RUN_A RUN_B [--show N]`, from the folder of the repository. RUN is a run directory or a folder that
contains exactly one. Records are matched by sample_id. Content columns are those that two undisturbed runs of one seed share; times, waits,
ids and the answering instance are left out (`SCHEDULED`). A column that only one side has is listed and is no difference. The exit status
is 1 where records differ, are missing or occur twice.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.crash_matrix.stored_records import EXCLUDED, Row, content, final_rows, unresolved_rows

SCHEDULED = EXCLUDED | {"response_model"}
"""Columns that depend on order and time. The simulator's `response_model` is the deployment that answered."""
SHOWN = 10
_WIDTH = 60


@dataclass(frozen=True, slots=True)
class ValueDifference:
    """One differing value; `column` is "record" where a whole record is missing or occurs twice."""

    sample_id: str
    column: str
    a: object
    b: object


@dataclass(frozen=True, slots=True)
class RecordComparison:
    """The result of comparing two runs."""

    records_a: int
    records_b: int
    columns: Sequence[str]
    """Content columns that both sides have."""
    only_a: Sequence[str]
    only_b: Sequence[str]
    differences: Sequence[ValueDifference]


def compare_runs(a: Path, b: Path) -> RecordComparison:
    """Compare all records of two run directories, final and unresolved."""
    return compare_records(_read_rows(a), _read_rows(b))


def compare_records(a: list[Row], b: list[Row]) -> RecordComparison:
    """Match rows by sample_id and compare them on the content columns that both sides have."""
    columns_a, columns_b = _content_columns(a), _content_columns(b)
    shared = sorted(columns_a & columns_b)
    rows_a, rows_b = content(a), content(b)
    differences = [*_miscounted(a, b)]
    for sample_id in sorted(rows_a.keys() & rows_b.keys()):
        differences += _differing(sample_id, rows_a[sample_id], rows_b[sample_id], shared)
    return RecordComparison(
        len(a), len(b), shared, sorted(columns_a - columns_b), sorted(columns_b - columns_a), differences
    )


def describe(comparison: RecordComparison, shown: int = SHOWN) -> str:
    """Write the counts, the columns of one side only, and the first differences."""
    differences = comparison.differences
    lines = [
        f"{comparison.records_a:,} and {comparison.records_b:,} records, {len(comparison.columns)} content columns: "
        f"{len({difference.sample_id for difference in differences}):,} records differ"
    ]
    lines += [f"only in A: {name}" for name in comparison.only_a]
    lines += [f"only in B: {name}" for name in comparison.only_b]
    counts = Counter(difference.column for difference in differences)
    lines += [f"{column}: {count:,} differ" for column, count in counts.most_common()]
    lines += [f"  {d.sample_id}  {d.column}: {_cut(d.a)} | {_cut(d.b)}" for d in differences[:shown]]
    return "\n".join(lines)


def find_run(path: Path) -> Path:
    """Return `path` if it is a run directory, else the only run directory in it. Raises SystemExit."""
    if (path / "results").is_dir():
        return path
    runs = [folder for folder in sorted(path.glob("*/")) if (folder / "results").is_dir()]
    if len(runs) != 1:
        raise SystemExit(f"{path} is not a run directory and contains {len(runs)} of them; name one")
    return runs[0]


def _read_rows(run: Path) -> list[Row]:
    """Read the final and the unresolved records."""
    return [*final_rows(run), *unresolved_rows(run)]


def _content_columns(rows: list[Row]) -> set[str]:
    """Collect the names of all columns that scheduling does not decide."""
    return {name for row in rows for name in row} - SCHEDULED


def _miscounted(a: list[Row], b: list[Row]) -> list[ValueDifference]:
    """List the samples that have not exactly one record on both sides."""
    counts_a, counts_b = (Counter(row["sample_id"] for row in rows) for rows in (a, b))
    samples = sorted(counts_a.keys() | counts_b.keys())
    pairs = ((sample_id, counts_a[sample_id], counts_b[sample_id]) for sample_id in samples)
    return [ValueDifference(sample_id, "record", na, nb) for sample_id, na, nb in pairs if (na, nb) != (1, 1)]


def _differing(
    sample_id: str, a: Mapping[str, object], b: Mapping[str, object], columns: Sequence[str]
) -> list[ValueDifference]:
    """List the columns in which two records of one sample differ."""
    pairs = ((column, a.get(column), b.get(column)) for column in columns)
    return [ValueDifference(sample_id, column, va, vb) for column, va, vb in pairs if va != vb]


def _cut(value: object) -> str:
    """Write a value on one line, shortened."""
    text = repr(value)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def main() -> None:
    """Compare two runs and exit with 1 where they differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run_a", type=Path, metavar="RUN_A")
    parser.add_argument("run_b", type=Path, metavar="RUN_B")
    parser.add_argument("--show", type=int, default=SHOWN, metavar="N", help="number of differences to print")
    options = parser.parse_args()
    comparison = compare_runs(find_run(options.run_a), find_run(options.run_b))
    print(describe(comparison, options.show))
    sys.exit(1 if comparison.differences or not comparison.records_a else 0)


if __name__ == "__main__":
    main()
