"""Converts a row of a user's file to a task: the meaning of its columns, and what a row must have.

Every InputError here gives the reason and the remedy only; the task set that reads the row adds file and line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import TypeVar

import orjson

from providers.errors import InputError
from providers.messages import JSON, Message, Tool
from providers.suggestion import suggestion

from ..conversation import check_messages, with_system
from .task import Task

Row = Mapping[str, JSON]
Layout = Mapping[str, Callable[[Row], JSON] | None]
"""How every task field is read from rows with the same columns; None for a field that they do not have."""
T = TypeVar("T")
TaskFields = tuple[str, Sequence[Message], JSON, Sequence[Tool], str, str, str, Mapping[str, JSON] | None]
"""Of a task: id, messages, target, tools, task type, difficulty, family, metadata."""

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
    "choices": ("choices", "options"),
}
"""The columns of a task set without `fields`: the first one that is not null in a row is used."""

KEPT_LAYOUTS = 64
"""Different sequences of columns for which the meaning is remembered; most files have one."""

REQUIRED_WHERE_NAMED = frozenset({"id", "target", "task_type", "difficulty", "family", "choices"})
"""A column that the user names for one of these must be in every row, at least as null, so that a misspelt name is detected."""


class Columns:
    """The meaning of the columns of one task set; `fields` maps names of task fields to the file's columns."""

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
        self._layouts: dict[tuple[str, ...], Layout] = {}
        self._required = [(name, column) for name, column in fields.items() if name in REQUIRED_WHERE_NAMED]
        self.used = frozenset(column for columns in names.values() for column in columns) | {"metadata", "body"}
        """Every column that may be read; the others need not be decoded."""

    def task(self, row: Row, fallback_id: str) -> Task:
        """Build the task of a row. Raises InputError."""
        fields = self.fields(row, fallback_id)
        column = self._names["choices"][0]
        return Task(*fields, columns=row if column == "choices" else {**row, "choices": row.get(column)})

    def fields(self, row: Row, fallback_id: str) -> TaskFields:
        """Check a row and return the fields of its task in their order; a scan needs no more. Raises InputError."""
        row, layout = self._layout(row)
        target, tools = layout["target"], layout["tools"]
        return (
            (layout["id"] and self._label(layout["id"](row), "id")) or fallback_id,
            self._messages(row, layout),
            _target(target(row)) if target else None,
            _held_by_json(_tools(tools(row)), "tools") if tools else (),
            (layout["task_type"] and self._label(layout["task_type"](row), "task_type")) or "default",
            (layout["difficulty"] and self._label(layout["difficulty"](row), "difficulty")) or "default",
            (layout["family"] and self._label(layout["family"](row), "family")) or "",
            _held_by_json(_metadata(row["metadata"]), "metadata") if "metadata" in row else None,
        )

    def _layout(self, row: Row) -> tuple[Row, Layout]:
        """Return the row, unpacked where it is of a batch, and its layout. Raises InputError."""
        if self._may_be_batch and "body" in row and "custom_id" in row:
            row = _unpack_batch(row)
        columns = tuple(row)
        layout = self._layouts.get(columns)
        if layout is not None:
            return row, layout
        for name, column in self._required:
            if column not in row:
                raise InputError(f'has no column "{column}" (fields: {name}); {suggestion(column, row)}')
        layout = {name: _reader([name for name in names if name in row]) for name, names in self._names.items()}
        if len(self._layouts) < KEPT_LAYOUTS:
            self._layouts[columns] = layout
        return row, layout

    def _label(self, value: JSON, name: str) -> str | None:
        if value is None or (isinstance(value, str) and value):
            return value
        if isinstance(value, int | float):
            return str(value)
        column = self._names[name][0]
        raise InputError(f"{column} must be a short text or a number, not {value!r:.60}; fix or remove the line")

    def _messages(self, row: Row, layout: Layout) -> Sequence[Message]:
        read_input, read_messages, read_system = layout["input"], layout["messages"], layout["system"]
        text = read_input(row) if read_input else None
        given = read_messages(row) if read_messages else None
        system = read_system(row) if read_system else None
        if given is None and system is None and isinstance(text, str) and text.isascii():  # JSON can hold this text
            return ({"role": "user", "content": text},)
        return _held_by_json(self._conversation(row, text, given, system), "messages")

    def _conversation(self, row: Row, text: JSON, given: JSON, system: JSON) -> Sequence[Message]:
        if (text is None) == (given is None):
            raise InputError(self._unclear_input(row, given is not None))
        if given is not None:
            messages = check_messages(_parsed(given, "messages"))
        elif isinstance(text, str):
            messages = ({"role": "user", "content": text},)
        else:
            raise InputError("input must be text; a list of messages goes under messages")
        if system is None:
            return messages
        if not isinstance(system, str):
            raise InputError("system must be text; fix or remove the line")
        return with_system(messages, system)

    def _unclear_input(self, row: Row, has_both: bool) -> str:
        wanted = [column for name in ("input", "messages") for column in self._names[name]]
        if has_both:
            filled = " and ".join(column for column in wanted if row.get(column) is not None)
            return f"has both {filled}; name the one that holds the task with fields: {{input: …}} or {{messages: …}}"
        columns = ", ".join(row) or "none"
        return f"has no {' or '.join(wanted)} (its columns: {columns}); name the column with fields: {{input: …}}"


def _reader(names: Sequence[str]) -> Callable[[Row], JSON] | None:
    """Return how the value of a task field is read from the columns that hold it."""
    if len(names) > 1:
        return partial(_first, names)
    return itemgetter(*names) if names else None


def _first(names: Sequence[str], row: Row) -> JSON:
    return next((row[name] for name in names if row[name] is not None), None)


def _target(value: JSON) -> JSON:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float | list | dict):
        return _held_by_json(value, "target")
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
    """Return a value. Raises InputError where it is not serialisable as JSON: bytes of Parquet, or very deep nesting."""
    if value:
        try:
            orjson.dumps(value)
        except TypeError as error:
            raise InputError(f"{name} holds what JSON cannot ({error}); fix or remove the line") from error
    return value


def _parsed(value: JSON, name: str) -> object:
    """Parse a nested value, which CSV and Parquet hold as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{name} is not valid JSON ({error.msg}); fix or remove the line") from error


def _unpack_batch(row: Row) -> Row:
    """Convert a line of an OpenAI Batch file: messages and tools become the task's, the rest is kept in metadata["body"]."""
    body = row["body"]
    if not isinstance(body, dict) or "messages" not in body:
        raise InputError(
            "body has no messages: only requests to /v1/chat/completions can be run; fix or remove the line"
        )
    rest = {name: value for name, value in body.items() if name not in {"messages", "tools"}}
    metadata = {**(_metadata(row.get("metadata")) or {}), "body": rest}
    unpacked = {"id": row["custom_id"], "messages": body["messages"], "tools": body.get("tools"), "metadata": metadata}
    return {**row, **unpacked}
