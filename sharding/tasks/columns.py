"""Converts a row of a user's file to a task: the meaning of its columns, and what a row must have.

Every InputError here gives the reason and the remedy only; the task set that reads the row adds file and line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from providers.errors import InputError
from providers.messages import JSON, Message, Tool
from providers.suggestion import suggestion

from ..conversation import check_messages, with_system
from .task import Task

Row = Mapping[str, JSON]
Layout = tuple[tuple[str, tuple[str, ...]], ...]
"""The task fields that a row may give, each with the columns that may hold it."""
MOST_LAYOUTS = 100
"""Layouts that are kept; rows of further ones are looked up each time."""

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
"""The columns of a task set without `fields`: the first one that is not null in a row is used."""

REQUIRED_WHERE_NAMED = frozenset({"id", "target", "task_type", "difficulty", "family"})
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
        """By the columns of a row."""
        self._required = [(name, column) for name, column in fields.items() if name in REQUIRED_WHERE_NAMED]
        self.used = frozenset(column for columns in names.values() for column in columns) | {"metadata", "body"}
        """Every column that may be read; the others need not be decoded."""

    def task(self, row: Row, fallback_id: str, *, is_checked: bool = False) -> Task:
        """Build the task of a row. Raises InputError. `is_checked` rows are known to hold only what JSON can."""
        if self._may_be_batch and "body" in row and "custom_id" in row:
            row = _unpack_batch(row)
        for name, column in self._required:
            if column not in row:
                raise InputError(f'has no column "{column}" (fields: {name}); {suggestion(column, row)}')
        given = self._given(row)
        metadata = row.get("metadata")
        task = Task(
            _label(given["id"], "id", self._names) if "id" in given else fallback_id,
            self._messages(row, given),
            _target(given["target"]) if "target" in given else None,
            _tools(given["tools"]) if "tools" in given else (),
            _label(given["task_type"], "task_type", self._names) if "task_type" in given else "default",
            _label(given["difficulty"], "difficulty", self._names) if "difficulty" in given else "default",
            _label(given["family"], "family", self._names) if "family" in given else "",
            None if metadata is None else _metadata(metadata),
        )
        if not is_checked:
            _check_json(task)
        return task

    def _given(self, row: Row) -> dict[str, JSON]:
        """Return the values of a row by task field: of each field's columns the first one that is not null."""
        keys = tuple(row)
        layout = self._layouts.get(keys)
        if layout is None:
            layout = self._lay_out(keys)
        given: dict[str, JSON] = {}
        for name, columns in layout:
            for column in columns:
                value = row[column]
                if value is not None:
                    given[name] = value
                    break
        return given

    def _lay_out(self, keys: tuple[str, ...]) -> Layout:
        """Find out which columns of a row with these keys hold which field; the rows of a file have few layouts."""
        present = [
            (name, tuple(column for column in columns if column in keys)) for name, columns in self._names.items()
        ]
        layout = tuple((name, columns) for name, columns in present if columns)
        if len(self._layouts) < MOST_LAYOUTS:
            self._layouts[keys] = layout
        return layout

    def _messages(self, row: Row, given: Mapping[str, JSON]) -> Sequence[Message]:
        if ("input" in given) == ("messages" in given):
            raise InputError(self._unclear_input(row, "messages" in given))
        if "messages" in given:
            messages = check_messages(_parsed(given["messages"], "messages"))
        elif isinstance(text := given["input"], str):
            messages = ({"role": "user", "content": text},)
        else:
            raise InputError("input must be text; a list of messages goes under messages")
        if "system" not in given:
            return messages
        system = given["system"]
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


def _label(value: JSON, name: str, names: Mapping[str, tuple[str, ...]]) -> str:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int | float):
        return str(value)
    raise InputError(f"{names[name][0]} must be a short text or a number, not {value!r:.60}; fix or remove the line")


def _target(value: JSON) -> JSON:
    if isinstance(value, str | int | float | list | dict):
        return value
    raise InputError(f"target is a {type(value).__name__}, which JSON cannot hold; store it as text or a number")


def _tools(value: JSON) -> Sequence[Tool]:
    tools = _parsed(value, "tools")
    if isinstance(tools, list):
        checked = tuple(tool for tool in tools if isinstance(tool, dict))
        if len(checked) == len(tools):
            return checked
    raise InputError("tools must be a list of objects; fix or remove the line")


def _metadata(value: JSON) -> Mapping[str, JSON]:
    metadata = _parsed(value, "metadata")
    if isinstance(metadata, dict):
        return metadata
    raise InputError("metadata must be an object; fix or remove the line")


def _check_json(task: Task) -> None:
    """Raise InputError where a value is not serialisable as JSON: bytes of Parquet, or very deep nesting."""
    _check_value(task.messages, "messages")
    if task.target is not None and not isinstance(task.target, str):
        _check_value(task.target, "target")
    if task.tools:
        _check_value(task.tools, "tools")
    if task.metadata is not None:
        _check_value(task.metadata, "metadata")


def _check_value(value: object, name: str) -> None:
    try:
        orjson.dumps(value)
    except TypeError as error:
        raise InputError(f"{name} holds what JSON cannot ({error}); fix or remove the line") from error


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
    own = row.get("metadata")
    metadata = {**({} if own is None else _metadata(own)), "body": rest}
    unpacked = {"id": row["custom_id"], "messages": body["messages"], "tools": body.get("tools"), "metadata": metadata}
    return {**row, **unpacked}
