"""Converts a row of a user's file to a task: the meaning of its columns, and what a row must have.

Every InputError here gives the reason and the remedy only; the task set that reads the row adds file and line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import TypeVar

import orjson

from providers.errors import InputError
from providers.messages import JSON, Message, Tool
from providers.suggestion import suggestion

from ..conversation import check_messages, with_system
from .batch_lines import generation_parameters, is_batch_line, unpack_batch_line
from .field_values import FieldReader, FieldValue, field_readers, refuse_missing
from .task import Task
from .tool_registry import ToolRegistry, refuse_other_objects

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

    def __init__(
        self,
        fields: Mapping[str, FieldValue],
        file_name: str = "",
        *,
        needs_input: bool = True,
        registry: ToolRegistry | None = None,
    ) -> None:
        """Check `fields`. Without `needs_input`, a row may have neither input nor messages: its prompts are made of other columns."""
        for name in fields:
            if name not in DEFAULT_COLUMNS:
                raise InputError(f'fields: unknown name "{name}"; {suggestion(name, DEFAULT_COLUMNS)}')
        names = dict(DEFAULT_COLUMNS)
        self._may_be_batch = not fields.keys() & {"input", "messages"}
        if not self._may_be_batch:
            names.update(input=(), messages=())
        self._own = field_readers(fields, file_name)
        names.update((name, reader.paths) for name, reader in self._own.items())
        if registry is not None:
            names["tools"] = ()
        self._registry = registry
        self._names = names
        self.needs_input = needs_input
        self._layouts: dict[tuple[str, ...], Layout] = {}
        self._unused: dict[str, str] = {}
        self._absent = {name for name, reader in self._own.items() if reader.has_default}
        """The fields with a value for empty columns whose column no row has had."""
        read = {column for reader in self._own.values() for column in reader.columns}
        defaults = {column for name, columns in names.items() if name not in self._own for column in columns}
        self.used = frozenset(read | defaults) | {"metadata", "body", "custom_id"}
        self.used |= registry.columns if registry is not None else frozenset()
        """Every column that a scan may read; the others need not be decoded."""
        self.named = [path for reader in self._own.values() for path in reader.paths]
        """Columns, or dotted paths into one, that the file must have."""

    def task(self, row: Row, fallback_id: str) -> Task:
        """Build the task of a row. Raises InputError."""
        fields = self.fields(row, fallback_id)
        parameters = (
            generation_parameters(row["body"]) if self._may_be_batch and "body" in row and is_batch_line(row) else None
        )
        if "choices" in self._own:
            row = {**row, "choices": self._own["choices"].read(row)}
        elif "choices" not in row and "options" in row:
            row = {**row, "choices": row["options"]}
        return Task(*fields, parameters, row)

    def fields(self, row: Row, fallback_id: str) -> TaskFields:
        """Check a row and return the fields of its task in their order; a scan needs no more. Raises InputError."""
        row, layout = self._layout(row)
        target, tools = layout["target"], layout["tools"]
        fields = (
            (layout["id"] and self._label(layout["id"](row), "id")) or fallback_id,
            self._messages(row, layout),
            _target(target(row)) if target else None,
            _held_by_json(_tools(tools(row)), "tools") if tools else (),
            (layout["task_type"] and self._label(layout["task_type"](row), "task_type")) or "default",
            (layout["difficulty"] and self._label(layout["difficulty"](row), "difficulty")) or "default",
            (layout["family"] and self._label(layout["family"](row), "family")) or "",
            _held_by_json(_metadata(row["metadata"]), "metadata") if "metadata" in row else None,
        )
        return fields if self._registry is None else _with_tools(self._registry, row, fields)

    def plain_columns(self, present: Collection[str]) -> Mapping[str, str] | None:
        """Return the one column that every task field is read from in rows with these columns, `metadata` among them.

        None where a field is read in another way, which only `fields` knows.
        """
        if self._registry is not None or (self._may_be_batch and "body" in present and is_batch_line(present)):
            return None
        plain = {"metadata": "metadata"} if "metadata" in present else {}
        for name, names in self._names.items():
            reader = self._own.get(name)
            own = None if reader is None else _plain_column(reader, present)
            found = [column for column in names if column in present] if reader is None else [own] if own else []
            if (reader is not None and not found) or (len(found) > 1 and name != "choices"):
                return None
            plain.update((name, column) for column in found)
        return plain

    def refuse_unfound(self) -> None:
        """After a scan, raise InputError where no row had a column with `if_empty`, or a value at a dotted path: its name is misspelt."""
        for name in self._absent if self._layouts else ():
            row = next(iter(self._layouts))
            raise refuse_missing(name, self._own[name].paths[0], dict.fromkeys(row))
        for name, reader in self._own.items():
            dotted = reader.dotted
            if dotted is not None and "." in dotted.path and not dotted.was_found and dotted.inside:
                known = suggestion(dotted.path.partition(".")[2], dotted.inside)
                raise InputError(f'no row has a value at "{dotted.path}" (fields: {name}); {known}')

    def note(self, key: str, sentence: str) -> None:
        """Note what the rows hold and a run does not use, once by key."""
        self._unused.setdefault(key, sentence)

    @property
    def notes(self) -> Sequence[str]:
        """What the scanned rows hold and a run does not use."""
        return list(self._unused.values())

    def _layout(self, row: Row) -> tuple[Row, Layout]:
        """Return the row, unpacked where it is of a batch, and its layout. Raises InputError."""
        if self._may_be_batch and "body" in row and is_batch_line(row):
            row = unpack_batch_line(row, self._unused)
        columns = tuple(row)
        layout = self._layouts.get(columns)
        if layout is not None:
            return row, layout
        layout = {name: _reader([name for name in names if name in row]) for name, names in self._names.items()}
        layout.update((name, _own_reader(name, reader, row)) for name, reader in self._own.items())
        self._absent = {name for name in self._absent if self._own[name].missing(row) is not None}
        if len(self._layouts) < KEPT_LAYOUTS:
            self._layouts[columns] = layout
        return row, layout

    def _label(self, value: JSON, name: str) -> str | None:
        if value is None or (isinstance(value, str) and value):
            return value
        if isinstance(value, int | float):
            return str(value)
        column = next(iter(self._names[name]), name)
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
        if text is None and given is None and not self.needs_input:
            text = ""
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
        if empty := [column for column in wanted if column in row]:
            return f"the column {' or '.join(empty)} is empty (null); fill it, or remove the row"
        columns = ", ".join(row) or "none"
        return f"has no {' or '.join(wanted)} (its columns: {columns}); name the column with fields: {{input: …}}"


def _with_tools(registry: ToolRegistry, row: Row, fields: TaskFields) -> TaskFields:
    """Add the tools that the row names, and the plan that calls them."""
    task_id, messages, target, _, task_type, difficulty, family, metadata = fields
    tools, metadata = registry.assign(row, metadata)
    return task_id, messages, target, tools, task_type, difficulty, family, metadata


def _own_reader(name: str, reader: FieldReader, row: Row) -> Callable[[Row], JSON] | None:
    """Return how a field is read that the user has set. Raises InputError where a row must have the column and does not."""
    missing = reader.missing(row)
    if missing is None or reader.has_default:
        column = _plain_column(reader, row)
        return reader.read if column is None else itemgetter(column)
    if name in REQUIRED_WHERE_NAMED or reader.dotted is None:
        raise refuse_missing(name, missing, row)
    return None


def _plain_column(reader: FieldReader, row: Container[str]) -> str | None:
    """Return the column where the field is nothing else, which is read fastest."""
    return reader.paths[0] if reader.is_plain and reader.paths[0] in row else None


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
            for tool in checked:
                _check_parameters(tool)
            return checked
    raise InputError("tools must be a list of objects; fix or remove the line")


def _check_parameters(tool: Tool) -> None:
    function = tool.get("function", tool)
    if isinstance(function, Mapping) and function.get("parameters") is not None:
        refuse_other_objects(str(function.get("name")), function["parameters"])


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
