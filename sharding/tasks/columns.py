"""From a row of somebody's file to a task: which column holds what, and what a row must have.

Every InputError here gives the reason and the remedy only; the task set that reads the row puts file and line in front.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import orjson

from providers.errors import InputError
from providers.messages import JSON, Message, Tool
from providers.suggestion import suggestion

from ..conversation import check_messages, with_system
from .task import Task

Row = Mapping[str, JSON]
T = TypeVar("T")

DEFAULT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "task_id", "custom_id"),
    "input": ("input", "question", "prompt"),
    "messages": ("messages",),
    "target": ("target", "answer"),
    "tools": ("tools",),
    "task_type": ("task_type",),
    "difficulty": ("difficulty",),
    "family": ("family",),
    "system": ("system",),
}
"""Where a task set says nothing else: the first column that a row fills wins."""

REQUIRED_WHERE_NAMED = frozenset({"id", "target", "task_type", "difficulty", "family"})
"""A column that a person named for one of these must be in every row, if only as null: a misspelt name is not a missing value."""


class Columns:
    """How the rows of one task set are read; `fields` maps our names to the file's columns."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        for name in fields:
            if name not in DEFAULT_COLUMNS:
                raise InputError(f'fields: unknown name "{name}"; {suggestion(name, DEFAULT_COLUMNS)}')
        names = dict(DEFAULT_COLUMNS)
        self._may_be_batch = not fields.keys() & {"input", "messages"}
        if not self._may_be_batch:
            names.update(input=(), messages=())
        names.update((name, (column,)) for name, column in fields.items())
        self._names = names
        self._required = [(name, column) for name, column in fields.items() if name in REQUIRED_WHERE_NAMED]
        self.used = frozenset(column for columns in names.values() for column in columns) | {"metadata", "body"}
        """Every column that could be read; the others need not be decoded."""

    def task(self, row: Row, fallback_id: str) -> Task:
        """Build the row's task. Raises InputError."""
        if self._may_be_batch and "body" in row and "custom_id" in row:
            row = _unpack_batch(row)
        for name, column in self._required:
            if column not in row:
                raise InputError(f'has no column "{column}" (fields: {name}); {suggestion(column, row)}')
        names = self._names
        task_id = _label(row, names["id"], fallback_id)
        return Task(
            task_id,
            _held_by_json(self._messages(row), "messages"),
            _held_by_json(_target(_first(row, names["target"])), "target"),
            _held_by_json(_tools(_first(row, names["tools"])), "tools"),
            _label(row, names["task_type"], "default"),
            _label(row, names["difficulty"], "default"),
            _label(row, names["family"], ""),
            _held_by_json(_metadata(row.get("metadata")), "metadata"),
        )

    def _messages(self, row: Row) -> Sequence[Message]:
        text = _first(row, self._names["input"])
        given = _first(row, self._names["messages"])
        if (text is None) == (given is None):
            raise InputError(self._unclear_input(row, given is not None))
        if given is not None:
            messages = check_messages(_parsed(given, "messages"))
        elif isinstance(text, str):
            messages = ({"role": "user", "content": text},)
        else:
            raise InputError("input must be text; a list of messages goes under messages")
        system = _first(row, self._names["system"])
        if system is None:
            return messages
        if not isinstance(system, str):
            raise InputError("system must be text; fix or remove the line")
        return with_system(messages, system)

    def _unclear_input(self, row: Row, has_both: bool) -> str:
        wanted = [column for name in ("input", "messages") for column in self._names[name]]
        if has_both:
            found = " and ".join(column for column in wanted if row.get(column) is not None)
            return f"has both {found}; say which one holds the task with fields: {{input: …}} or {{messages: …}}"
        columns = ", ".join(row) or "none"
        return f"has no {' or '.join(wanted)} (its columns: {columns}); name the column with fields: {{input: …}}"


def _first(row: Row, names: tuple[str, ...]) -> JSON:
    for name in names:
        value = row.get(name)
        if value is not None:
            return value
    return None


def _label(row: Row, names: tuple[str, ...], default: str) -> str:
    value = _first(row, names)
    if value is None:
        return default
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int | float):
        return str(value)
    raise InputError(f"{names[0]} must be a short text or a number, not {value!r:.60}; fix or remove the line")


def _target(value: JSON) -> JSON:
    if value is None or isinstance(value, str | int | float | list | dict):
        return value
    raise InputError(f"target is a {type(value).__name__}, which JSON cannot hold; store it as text or a number")


def _tools(value: JSON) -> Sequence[Tool]:
    if value is None:
        return ()
    tools = _parsed(value, "tools")
    if isinstance(tools, list):
        checked = tuple(tool for tool in tools if isinstance(tool, dict))
        if len(checked) == len(tools):
            return checked
    raise InputError("tools must be a list of objects; fix or remove the line")


def _metadata(value: JSON) -> Mapping[str, JSON] | None:
    if value is None:
        return None
    metadata = _parsed(value, "metadata")
    if isinstance(metadata, dict):
        return metadata
    raise InputError("metadata must be an object; fix or remove the line")


def _held_by_json(value: T, name: str) -> T:
    """What cannot be written as JSON cannot be sent: bytes and the like of Parquet, or a nesting without an end."""
    if value is not None and not isinstance(value, str):
        try:
            orjson.dumps(value)
        except TypeError as error:
            raise InputError(f"{name} holds what JSON cannot ({error}); fix or remove the line") from error
    return value


def _parsed(value: JSON, name: str) -> object:
    """CSV and Parquet hold nested values as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{name} is not valid JSON ({error.msg}); fix or remove the line") from error


def _unpack_batch(row: Row) -> Row:
    """A line of an OpenAI Batch file: the request's messages and tools become the task's, the rest stays in metadata["body"]."""
    body = row["body"]
    if not isinstance(body, dict) or "messages" not in body:
        raise InputError(
            "body has no messages: only requests to /v1/chat/completions can be run; fix or remove the line"
        )
    rest = {name: value for name, value in body.items() if name not in {"messages", "tools"}}
    metadata = {**(_metadata(row.get("metadata")) or {}), "body": rest}
    unpacked = {"id": row["custom_id"], "messages": body["messages"], "tools": body.get("tools"), "metadata": metadata}
    return {**row, **unpacked}
