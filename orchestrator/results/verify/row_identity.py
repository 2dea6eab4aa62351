"""Check whether a row belongs to a run: its fields are compared with the sample that the manifest plans at its ordinal.

This needs neither the tasks nor the keys.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from providers.errors import InputError
from runners.journal.sinks.table_rows import column_of
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

    def are_planned(self, rows: Sequence[Sequence[object]]) -> bool:
        """Return whether all rows, in the order of COLUMNS, are those of planned samples. If not, `difference` tells what is wrong."""
        if not rows:
            return True
        columns: list[Any] = [column_of(rows, number) for number in range(len(COLUMNS))]
        ordinals, _, run_ids, sample_ids, task_ids, epochs, models, prompt_types, rates, seeds = columns
        if {*map(type, ordinals)} != {int} or {*map(type, task_ids)} != {str} or {*map(type, run_ids)} != {str}:
            return False
        if set(run_ids) != {self._run_id} or min(ordinals) < 0 or max(ordinals) >= self._planned:
            return False
        numbers, planned_epochs, positions = self._grid.locate_all(ordinals)
        try:
            cells = set(zip(numbers, planned_epochs, epochs, models, prompt_types, rates, strict=True))
        except TypeError:  # a value that no such column holds
            return False
        return (
            all(map(self._is_of_cell, cells))
            and self._grid.identify(numbers, task_ids, planned_epochs) == (sample_ids, seeds)
            and self._are_placed(positions, task_ids)
        )

    def _is_of_cell(self, found: tuple[int, int, object, object, object, object]) -> bool:
        number, planned_epoch, *values = found
        cell = self._grid.cells[number]
        return values == [planned_epoch, cell.model, cell.prompt_type, cell.tool_success_rate]

    def _are_placed(self, positions: Sequence[int], task_ids: Sequence[str]) -> bool:
        """Return whether every position holds the task that other rows have there; note those that no other row has yet."""
        tasks = self._tasks
        for position, task_id in zip(positions, task_ids, strict=True):
            task_hash = hash(task_id) or 1
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
        task_hash = hash(task_id) or 1
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
