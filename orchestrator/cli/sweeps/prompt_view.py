"""The messages of one task for every prompt type, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypedDict

from rich.table import Table
from rich.text import Text

from providers.errors import InputError
from providers.messages import Message
from sharding.conversation import text_of
from sharding.tasks.task import Task

from ...open_sweep import OpenSweep
from ..tables import console

EACH = "each"
"""A value in place of a task's id: the first task of every task type."""
COLUMN_WIDTH = 50


class PromptDocument(TypedDict):
    """A task, and its messages by prompt type."""

    task_id: str
    task_type: str
    prompts: dict[str, list[Message]]


def prompt_documents(open_: OpenSweep, wanted: str) -> list[PromptDocument]:
    """Return the messages by task and prompt type. Raises InputError where no task of the sweep has the id `wanted`."""
    sweep = open_.sweep
    documents: list[PromptDocument] = []
    for task in _chosen(open_, wanted):
        prompts = {prompt.name: list(prompt.apply(task).messages) for prompt in sweep.prompts}
        documents.append({"task_id": task.task_id, "task_type": task.task_type, "prompts": prompts})
    return documents


def _chosen(open_: OpenSweep, wanted: str) -> Iterator[Task]:
    tasks = (open_.tasks[row] for row in open_.sweep.rows)
    if wanted != EACH:
        named_task = next((task for task in tasks if task.task_id == wanted), None)
        if named_task is None:
            raise InputError(f'--prompts: no task of the sweep has the id "{wanted}"; name another, or write {EACH}')
        yield named_task
        return
    seen: set[str] = set()
    for task in tasks:
        if task.task_type not in seen:
            seen.add(task.task_type)
            yield task


def print_prompts(documents: Sequence[PromptDocument]) -> None:
    """Print one column per prompt type; columns that do not fit beside the others go into a further table."""
    out = console()
    per_table = max(1, out.width // COLUMN_WIDTH)
    for document in documents:
        columns = iter(document["prompts"].items())
        while table_columns := list(islice(columns, per_table)):
            table = Table(title=f"Task {document['task_id']} ({document['task_type']})", title_justify="left")
            for name, _ in table_columns:
                table.add_column(name, overflow="fold", ratio=1)
            table.add_row(*(Text("\n\n".join(map(_shown, messages))) for _, messages in table_columns))
            out.print(table)


def _shown(message: Message) -> str:
    text = "".join(char if char.isprintable() or char == "\n" else " " for char in text_of(message.get("content")))
    return f"[{message.get('role')}]\n{text}"
