"""One task as every prompt type asks it, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from rich.table import Table
from rich.text import Text

from providers.errors import InputError
from sharding.conversation import text_of
from sharding.tasks.task import Task

from ...open_sweep import OpenSweep
from ..tables import console

EACH = "each"
"""In place of a task's id: the first task of every task type."""
COLUMN_WIDTH = 50


def prompt_documents(open_: OpenSweep, wanted: str) -> list[dict[str, Any]]:
    """What is asked, by task and prompt type. Raises InputError where no task of the sweep has the id `wanted`."""
    sweep = open_.sweep
    documents: list[dict[str, Any]] = []
    for task in _chosen(open_, wanted):
        asked = {prompt.name: list(prompt.apply(task).messages) for prompt in sweep.prompts}
        documents.append({"task_id": task.task_id, "task_type": task.task_type, "prompts": asked})
    return documents


def _chosen(open_: OpenSweep, wanted: str) -> Iterator[Task]:
    tasks = (open_.tasks[row] for row in open_.sweep.rows)
    if wanted != EACH:
        found = next((task for task in tasks if task.task_id == wanted), None)
        if found is None:
            raise InputError(f'--prompts: no task of the sweep has the id "{wanted}"; name one, or say {EACH}')
        yield found
        return
    seen: set[str] = set()
    for task in tasks:
        if task.task_type not in seen:
            seen.add(task.task_type)
            yield task


def print_prompts(documents: Sequence[dict[str, Any]]) -> None:
    """As many columns as fit, in as many bands as it takes."""
    out = console()
    per_band = max(1, out.width // COLUMN_WIDTH)
    for document in documents:
        columns = iter(document["prompts"].items())
        while band := list(islice(columns, per_band)):
            table = Table(title=f"Task {document['task_id']} ({document['task_type']})", title_justify="left")
            for name, _ in band:
                table.add_column(name, overflow="fold", ratio=1)
            table.add_row(*(Text("\n\n".join(map(_shown, messages))) for _, messages in band))
            out.print(table)


def _shown(message: dict[str, Any]) -> str:
    text = "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text_of(message.get("content")))
    return f"[{message.get('role')}]\n{text}"
