"""The records of a run directory as tables, each sample once, read a result part at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from providers.errors import StorageError
from runners.durable import is_of_disk
from runners.journal.pieces import in_pieces, text_size
from runners.journal.sinks.record_table import add_later_columns, read_pieces, record_schema, record_table
from runners.journal.sinks.sink import Row
from runners.samples.bitmap import Bitmap

from .directory import Manifest, RunDirectory

FINAL_FILES = ("part-*.parquet", "results.jsonl")
UNRESOLVED_FILES = ("unresolved.parquet", "unresolved.jsonl")
"""Replaced at the end of an execution only: until then they also hold samples that a resume has brought to their end."""


class RunRecords:
    """The records of a run directory; `path` is that directory."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Open a run directory. Raises InputError where `path` is not one."""
        directory = RunDirectory(Path(path))
        return cls(directory.path, directory.read_manifest())

    def to_arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return every sample's record, final or unresolved, as one table. `columns` are fields of Record; None means all."""
        names = list(columns or record_schema().names)
        return pa.concat_tables([record_schema().empty_table().select(names), *self.tables(names)])

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the same records table by table, to save memory. `columns` are fields of Record; None means all."""
        results, final = RunDirectory(self.path).results, Bitmap(self.manifest.total)
        names = list(columns or record_schema().names)
        is_unresolved = any(table.num_rows for table in _read_all(results, UNRESOLVED_FILES, ["ordinal"]))
        for table in _read_all(results, FINAL_FILES, names):
            if is_unresolved:
                self._mark(table, final)
            yield table.select(names)
        for table in _read_all(results, UNRESOLVED_FILES, names):
            yield table.filter(pa.array(self._mark(table, final), pa.bool_())).select(names)

    def _mark(self, table: pa.Table, seen: Bitmap) -> list[bool]:
        """Return for each row whether its sample is new. Raises StorageError where the run has no such sample."""
        try:
            return [seen.add(ordinal) for ordinal in table["ordinal"].to_pylist()]
        except IndexError:
            raise foreign_samples(self.path) from None


def foreign_samples(path: Path) -> StorageError:
    """Build the error of a run directory that holds samples which its run does not have."""
    return StorageError(f"{path} holds samples of another run; check it with: python -m orchestrator verify {path}")


def _read_all(folder: Path, patterns: Sequence[str], names: Sequence[str]) -> Iterator[pa.Table]:
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            yield from _read_whole(path, list(dict.fromkeys(["ordinal", *names])))


def _read_whole(path: Path, names: list[str]) -> Iterator[pa.Table]:
    try:
        yield from _read(path, names)
    except (ValueError, TypeError, AttributeError, OSError) as error:  # Arrow's errors are among them
        if isinstance(error, OSError) and is_of_disk(error):
            raise StorageError(
                f"cannot read {path}: {error.strerror}; check the disk, then repeat the command"
            ) from error
        raise StorageError(
            f"{path} is damaged ({error}); restore it from a copy, or set it aside with `resume --repair`"
        ) from error


def _read(path: Path, names: list[str]) -> Iterator[pa.Table]:
    """Yield tables with at least the columns `names`."""
    if path.suffix == ".parquet":
        with pq.ParquetFile(path, memory_map=False) as file:
            for table in read_pieces(file, names):
                yield add_later_columns(table, names)
        return
    with path.open("rb") as file:
        # a crash may have cut the last line off; a resume writes it again
        complete = (line for line in file if line.endswith(b"\n"))
        yield from map(record_table, in_pieces((_row(line, names) for line in complete), text_size))


def _row(line: bytes, names: Sequence[str]) -> Row:
    """Read the columns `names` of a line, null where an older version did not write them."""
    record = orjson.loads(line)
    return {name: record.get(name) for name in names}
