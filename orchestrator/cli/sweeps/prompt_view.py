"""The messages of one task for every prompt type, side by side, as the built-in solvers send them first.

Where some models call tools in text (`tool_format: text`) and others natively, both forms are shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TypedDict

from rich.table import Table
from rich.text import Text

from providers.errors import InputError
from providers.messages import Message, Tool
from runners.samples.solvers import SOLVERS
from runners.tools.formats import NATIVE, ToolFormat
from sharding.conversation import text_of
from sharding.tasks.task import Task
from sharding.tasks.tool_plan import tool_name

from ...config.settings import Config
from ...open_sweep import OpenSweep
from ..tables import console

EACH = "each"
"""A value in place of a task's id: the first task of every task type."""
COLUMN_WIDTH = 50
IN_TEXT = "tools in text"
"""What is added to the name of a prompt type where other models get tools natively."""


class PromptDocument(TypedDict):
    """A task, its messages by prompt type, and the tools that are sent beside them."""

    task_id: str
    task_type: str
    prompts: dict[str, list[Message]]
    tools: list[Tool]


def prompt_documents(open_: OpenSweep, config: Config, wanted: str) -> list[PromptDocument]:
    """Return the messages by task and prompt type. Raises InputError where no task of the sweep has the id `wanted`."""
    formats = _formats(config)
    documents: list[PromptDocument] = []
    for task in _chosen(open_, wanted):
        shown = {
            _label(prompt.name, form, formats): list(tool_format.opening(prompt.apply(task).messages, task.tools))
            for prompt in open_.sweep.prompts
            for form, tool_format in formats.items()
            if task.tools or tool_format is next(iter(formats.values()))
        }
        tools = [tool for tool_format in formats.values() for tool in tool_format.offered(task.tools)]
        documents.append({"task_id": task.task_id, "task_type": task.task_type, "prompts": shown, "tools": tools})
    return documents


def _formats(config: Config) -> Mapping[str, ToolFormat]:
    """Return the tool formats of the swept models; a solver of one's own gets the messages without tools in them."""
    if config.run.solver not in SOLVERS:
        return {"": NATIVE}
    by_model = config.tool_formats()
    return {("" if (form := by_model[model]) is NATIVE else IN_TEXT): form for model in config.swept_models()}


def _label(name: str, form: str, formats: Mapping[str, ToolFormat]) -> str:
    return f"{name}, {form}" if form and len(formats) > 1 else name


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
        if document["tools"]:
            out.print(f"Tools sent beside the messages: {', '.join(map(tool_name, document['tools']))}")


def _shown(message: Message) -> str:
    text = "".join(char if char.isprintable() or char == "\n" else " " for char in text_of(message.get("content")))
    return f"[{message.get('role')}]\n{text}"
