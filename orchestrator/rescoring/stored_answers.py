"""A stored record as what a scorer takes: the sample with the task as it is now, and the answer as it was given.

Not stored, and so not to be graded again: `Answer.metadata`, and answers of samples that ended without one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson
import pyarrow as pa

from providers.errors import InputError
from providers.messages import JSON, ToolCall
from runners.instants import instant_of
from runners.samples.answer import Answer
from runners.samples.record import FINAL
from runners.samples.record_building import last_user_text
from sharding.plan import Sample
from sharding.tasks.task import Task

from ..open_sweep import OpenSweep
from ..results.run_directory.directory import Manifest
from ..results.verify.row_identity import grid_of

Row = dict[str, Any]

UNGRADED = frozenset({"judge", "judge_format", "user_code"})
"""The error classes of samples that have an answer which nobody could grade."""


def rows_of(table: pa.Table) -> Iterator[Row]:
    """Yield the records of a table in the form of the journal, with instants as text."""
    instants = [field.name for field in table.schema if pa.types.is_timestamp(field.type)]
    for row in table.to_pylist():
        for name in instants:
            if row[name] is not None:
                row[name] = instant_of(row[name])
        yield row


def has_answer(row: Mapping[str, Any]) -> bool:
    """Return whether a record holds an answer that can be graded."""
    if row["outcome"] == "ok":
        return True
    return row["error_class"] in UNGRADED and row["outcome"] not in FINAL and row["output_text"] is not None


def answer_of(row: Mapping[str, Any]) -> Answer:
    """Rebuild the answer of a record."""
    return Answer(
        text=row["output_text"] or "",
        messages=orjson.loads(row["messages"]) if row["messages"] else (),
        tool_calls=[_tool_call(call) for call in orjson.loads(row["tool_trace"])] if row["tool_trace"] else (),
        error_class=row["error_class"] if row["outcome"] == "ok" else None,
    )


def _tool_call(traced: Mapping[str, JSON]) -> ToolCall:
    """Rebuild a call from its entry in `tool_trace`; what the tool returned stands in the messages."""
    function = {"name": traced["name"], "arguments": traced["arguments"]}
    endings = {key: traced[key] for key in ("failure", "rejection") if traced.get(key)}
    return {"type": "function", "function": function, "turn": traced["turn"], **endings}


class StoredSamples:
    """The samples of stored records, with the tasks and the targets of now."""

    def __init__(self, manifest: Manifest, open_: OpenSweep, targets: Mapping[str, JSON]) -> None:
        """Take `targets` in place of those of the tasks with these ids. Raises InputError where there is no such task."""
        self._grid = grid_of(manifest)
        self._open = open_
        self._targets = targets
        self._rows: dict[str, int] | None = None
        unknown = [task_id for task_id in targets if self._row(task_id, 0) is None]
        if unknown:
            raise InputError(
                f"the targets name {len(unknown)} tasks that the run does not have, the first is {unknown[0]!r}; correct its id"
            )

    def sample_of(self, row: Mapping[str, Any]) -> tuple[Sample, int]:
        """Return the sample of a record, and the row of its task. Raises InputError where another question was asked."""
        number, _, place = self._grid.locate(row["ordinal"])
        task_row = self._row(row["task_id"], place)
        if task_row is None:
            raise InputError(
                f"the task {row['task_id']} of the run is no longer in its task files; put it back, or give its target with --targets"
            )
        prompts = self._open.sweep.prompts
        task = prompts[number % len(prompts)].apply(self._with_target(self._open.tasks[task_row]))
        if last_user_text(task.messages) != row["input"]:
            raise InputError(
                f"{self._open.tasks.origin(task_row)}: the question of the task {row['task_id']} is not the one that was answered; "
                "restore it: only targets and scorers may change"
            )
        cell = self._grid.cells[number]
        sample = Sample(row["ordinal"], row["sample_id"], task, cell, row["epoch"], row["seed"])
        return sample, task_row

    def _with_target(self, task: Task) -> Task:
        return replace(task, target=self._targets[task.task_id]) if task.task_id in self._targets else task

    def _row(self, task_id: str, place: int) -> int | None:
        """Find a task: at its place in the plan, or anywhere, if rows were added or moved."""
        rows, tasks = self._open.sweep.rows, self._open.tasks
        if place < len(rows) and tasks[rows[place]].task_id == task_id:
            return rows[place]
        if self._rows is None:
            self._rows = {tasks[row].task_id: row for row in range(len(tasks))}
        return self._rows.get(task_id)
