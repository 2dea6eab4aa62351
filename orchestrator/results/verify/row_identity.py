"""Check whether a row belongs to a run: its fields are compared with the sample that the manifest plans at its ordinal.

This needs neither the tasks nor the keys.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from providers.errors import InputError
from runners.journal.sinks.record_table import TableRows, record_schema
from sharding.grid import Grid, lay_out_cells
from sharding.segments import read_segments

from ...config.settings import Config
from ..run_directory.directory import Manifest


class IdentityRow(NamedTuple):
    """What a row must hold so that its identity can be checked. A damaged file may hold any value in any column."""

    ordinal: object
    outcome: object
    run_id: object
    sample_id: object
    task_id: object
    epoch: object
    model: object
    prompt_type: object
    tool_success_rate: object
    seed: object


COLUMNS = IdentityRow._fields
TYPES = tuple(record_schema().field(name).type for name in COLUMNS)
PYTHON_TYPES = {pa.int64(): int, pa.string(): str, pa.float64(): float}


class _IdentityColumns(NamedTuple):
    """The same of many rows, by column: arrays without nulls, of TYPES."""

    ordinal: pa.Array
    outcome: pa.Array
    run_id: pa.Array
    sample_id: pa.Array
    task_id: pa.Array
    epoch: pa.Array
    model: pa.Array
    prompt_type: pa.Array
    tool_success_rate: pa.Array
    seed: pa.Array


def grid_of(manifest: Manifest) -> Grid:
    """Build the grid of the run's ordinals. Raises InputError where the manifest contradicts itself."""
    try:
        config = Config.model_validate(manifest.raw)
    except ValidationError as error:
        raise InputError(
            f"the manifest of {manifest.run_id} holds no configuration that this version can read"
        ) from error
    axes = config.sweep
    cells = lay_out_cells(axes.tool_success_rates, config.swept_models(), axes.prompt_types)
    try:
        task_count = int(manifest.parts.get("task_count", ""))
        bound = manifest.parts.get("task_models")
        grid = Grid(cells, axes.epochs, task_count, config.run.seed, None if bound is None else read_segments(bound))
    except (ValueError, TypeError) as error:
        raise InputError(f"the manifest of {manifest.run_id} does not tell its tasks") from error
    if len(grid) != manifest.total:
        raise InputError(
            f"the manifest of {manifest.run_id} plans {manifest.total} samples, but its axes give another number"
        )
    return grid


class RowIdentity:
    """A check of rows against the plan. Every position of the task list must hold one task in all cells and epochs, and no two the same.

    It keeps eight bytes for each task.
    """

    def __init__(self, run_id: str, grid: Grid) -> None:
        self._run_id = run_id
        self._grid = grid
        self._planned = len(grid)
        self._tasks = array("q", bytes(8 * grid.places))
        """The hash of the task at every position; 0 where no row had it yet."""
        cells = grid.cells
        self._models = pa.array([cell.model for cell in cells], pa.string())
        self._prompt_types = pa.array([cell.prompt_type for cell in cells], pa.string())
        self._rates = pa.array([cell.tool_success_rate for cell in cells], pa.float64())

    def are_planned(self, rows: Sequence[Sequence[object]]) -> bool:
        """Return whether all rows, in the order of COLUMNS, are those of planned samples. If not, `difference` tells what is wrong."""
        if not rows:
            return True
        columns = _columns(rows)
        return columns is not None and self._are_planned(columns)

    def _are_planned(self, columns: _IdentityColumns) -> bool:
        ordinals, task_ids = columns.ordinal.to_pylist(), columns.task_id.to_pylist()
        if min(ordinals) < 0 or max(ordinals) >= self._planned:
            return False
        numbers, epochs, positions = self._grid.locate_all(ordinals)
        cells = pa.array(numbers, pa.int64())
        return (
            columns.run_id.unique().to_pylist() == [self._run_id]
            and columns.epoch.equals(pa.array(epochs, pa.int64()))
            and columns.model.equals(self._models.take(cells))
            and columns.prompt_type.equals(self._prompt_types.take(cells))
            and columns.tool_success_rate.equals(self._rates.take(cells))
            and self._are_named(columns, (numbers, task_ids, epochs))
            and self._are_placed(positions, task_ids)
        )

    def _are_named(
        self, columns: _IdentityColumns, samples: tuple[Sequence[int], Sequence[str], Sequence[int]]
    ) -> bool:
        """Return whether the rows have the ids and the seeds of these cells, task ids and epochs."""
        ids, seeds = self._grid.identify(*samples)
        return bool(
            columns.sample_id.equals(pa.array(ids, pa.string())) and columns.seed.equals(pa.array(seeds, pa.int64()))
        )

    def _are_placed(self, positions: Sequence[int], task_ids: Sequence[str]) -> bool:
        """Return whether every position holds the task that other rows have there; note those that no other row has yet."""
        tasks = self._tasks
        for position, task_hash in zip(positions, map(_task_hash, task_ids), strict=True):
            if tasks[position] != task_hash:
                if tasks[position]:
                    return False
                tasks[position] = task_hash
        return True

    def difference(self, row: IdentityRow) -> str | None:
        """Describe how `row` differs from the planned sample; return None where it does not."""
        ordinal = row.ordinal
        if row.run_id != self._run_id:
            return f"ordinal {ordinal} is of the run {row.run_id}, this is the run {self._run_id}"
        grid = self._grid
        if not isinstance(ordinal, int) or not 0 <= ordinal < self._planned:
            return f"ordinal {ordinal} is not among the {self._planned} planned"
        number, planned_epoch, position = grid.locate(ordinal)
        cell, cell_values = grid.cells[number], (row.model, row.prompt_type, row.tool_success_rate)
        if row.epoch != planned_epoch or cell_values != (cell.model, cell.prompt_type, cell.tool_success_rate):
            planned = f"{cell.model}, {cell.prompt_type}, {cell.tool_success_rate:g}, epoch {planned_epoch}"
            return f"ordinal {ordinal} is {', '.join(map(str, cell_values))}, epoch {row.epoch}; planned is {planned}"
        task_id = str(row.task_id)
        if row.sample_id != grid.digest(number, task_id, planned_epoch).hex():
            return f"ordinal {ordinal} has the sample id {row.sample_id}, which is not that of its task {task_id}"
        if row.seed != grid.seed(task_id, planned_epoch):
            return f"ordinal {ordinal} has the seed {row.seed}, which is not that of this run"
        return self._misplaced(ordinal, position, task_id)

    def _misplaced(self, ordinal: int, position: int, task_id: str) -> str | None:
        task_hash = _task_hash(task_id)
        known = self._tasks[position]
        self._tasks[position] = known or task_hash
        return (
            f"ordinal {ordinal} holds the task {task_id}, other rows hold another task at its position"
            if known not in (0, task_hash)
            else None
        )

    def repeated_tasks(self) -> int:
        """Return the number of positions whose task also has another position."""
        hashes = pa.Array.from_buffers(pa.int64(), len(self._tasks), [None, pa.py_buffer(self._tasks)])
        known = hashes.filter(pc.not_equal(hashes, 0))
        return len(known) - int(pc.count_distinct(known).as_py())


def _task_hash(task_id: str) -> int:
    """Return the hash of a task id, never 0."""
    return hash(task_id) or 1


def _columns(rows: Sequence[Sequence[object]]) -> _IdentityColumns | None:
    """Return rows by column; None where a value is of another type than the column."""
    if isinstance(rows, TableRows):
        table = rows.table
        if table.schema.types != list(TYPES) or any(column.null_count for column in table.columns):
            return None
        return _IdentityColumns(*(column.combine_chunks() for column in table.columns))
    columns = list(zip(*rows, strict=True))
    if any({*map(type, column)} != {PYTHON_TYPES[kind]} for column, kind in zip(columns, TYPES, strict=True)):
        return None
    try:
        return _IdentityColumns(*map(pa.array, columns, TYPES))
    except (ValueError, OverflowError):  # a number that the column cannot hold
        return None
