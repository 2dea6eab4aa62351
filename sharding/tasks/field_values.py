"""What a user writes under `fields`: a column, a dotted path, several columns in one text, or a constant for the whole file.

A place of a composition is a column; where the file has none of that name, it is another field of `fields`, such as a constant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from providers.errors import InputError
from providers.messages import JSON
from providers.suggestion import suggestion

from .dotted import has_path, roots_of, value_at

FieldValue = str | Mapping[str, JSON]
"""`answer.text`, `"{id}.{level}"`, `{const: easy}` or `{column: answer.text, if_empty: none}`."""
PLACE = re.compile(r"\{([^{}]+)\}")
CONST = "const"
IF_EMPTY = frozenset({"column", "if_empty"})
FILE = "file"
"""In a composition: the name of the task's file without its suffix."""


class DottedValue:
    """The value at a dotted path. A path that no row has a value at is a misspelling, which only the whole file can show."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.was_found = False
        self.inside: frozenset[str] = frozenset()
        """Names inside the column that the path starts from, for the message."""

    def __call__(self, row: Mapping[str, JSON]) -> JSON:
        """Read the value of a row."""
        value = value_at(row, self.path)
        if value is not None:
            self.was_found = True
        elif not self.was_found and isinstance(column := row.get(roots_of(self.path)[1]), Mapping):
            self.inside |= frozenset(column)
        return value


@dataclass(frozen=True, slots=True)
class FieldReader:
    """How one field is read from a row."""

    paths: tuple[str, ...]
    """The columns and dotted paths that it needs."""
    read: Callable[[Mapping[str, JSON]], JSON]
    dotted: DottedValue | None = None
    """The reader of a dotted path, which knows whether any row has had a value there."""
    optional: tuple[str, ...] = ()
    """Paths that it reads where the row has them."""
    has_default: bool = False
    """Whether it has a value for rows without a value at the path."""

    @property
    def columns(self) -> frozenset[str]:
        """Every column that it may read."""
        return frozenset(column for path in (*self.paths, *self.optional) for column in roots_of(path))

    @property
    def is_plain(self) -> bool:
        """Whether the value at the path is taken as it is."""
        return self.dotted is not None and self.read is self.dotted

    def missing(self, row: Mapping[str, JSON]) -> str | None:
        """Return the first path whose column the row does not have."""
        return next((path for path in self.paths if not has_path(row, path)), None)


def field_readers(fields: Mapping[str, FieldValue], file_name: str) -> dict[str, FieldReader]:
    """Build the readers of all fields. Raises InputError with the reason only."""
    simple = {name: _reader(name, setting) for name, setting in fields.items() if not _places(setting)}
    composed = {
        name: _composition(setting, _places(setting), simple, file_name)
        for name, setting in fields.items()
        if isinstance(setting, str) and _places(setting)
    }
    return {name: composed.get(name) or simple[name] for name in fields}


def _places(setting: FieldValue) -> tuple[str, ...]:
    return tuple(dict.fromkeys(PLACE.findall(setting))) if isinstance(setting, str) else ()


def _reader(name: str, setting: FieldValue) -> FieldReader:
    if isinstance(setting, Mapping):
        return _with_default(name, setting) if "column" in setting else _constant(name, setting)
    if not setting:
        raise InputError(
            f'fields: {name} names no column; write a column, a composition such as "{{id}}.{{level}}", or {{const: …}}'
        )
    dotted = DottedValue(setting)
    return FieldReader((setting,), dotted, dotted)


def _composition(setting: str, places: Sequence[str], others: Mapping[str, FieldReader], file_name: str) -> FieldReader:
    """Build the reader of several columns in one text; `others` are the fields that are no compositions."""

    def part(row: Mapping[str, JSON], path: str) -> str:
        value = value_at(row, path)
        if value is None and path in others and not has_path(row, path):
            value = others[path].read(row)
        if value is None and path == FILE:
            return file_name
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return str(value)
        raise InputError(
            f'the column "{path}", of which a field is composed, holds {value!r:.60}, not a text or a number; fix the row'
        )

    optional = tuple(path for path in places if path == FILE or path in others)
    needed = tuple(path for path in places if path not in optional)
    return FieldReader(needed, lambda row: PLACE.sub(lambda match: part(row, match[1]), setting), None, optional)


def _constant(name: str, setting: Mapping[str, JSON]) -> FieldReader:
    if set(setting) != {CONST}:
        unknown = next((key for key in setting if key != CONST), "")
        raise InputError(
            f'fields: {name} has the unknown key "{unknown}"; write {{const: easy}} for one value in every row, '
            "or {column: …, if_empty: …}"
        )
    value = setting[CONST]
    return FieldReader((), lambda _row: value)


def _with_default(name: str, setting: Mapping[str, JSON]) -> FieldReader:
    """Build the reader of a column with a value for rows where it is empty."""
    column, default = setting["column"], setting.get("if_empty")
    if set(setting) != IF_EMPTY or not isinstance(column, str) or not column or _places(column):
        raise InputError(f"fields: {name} must be {{column: answer.text, if_empty: …}}, with one column or dotted path")
    dotted = DottedValue(column)

    def read(row: Mapping[str, JSON]) -> JSON:
        value = dotted(row)
        return default if _is_empty(value) else value

    return FieldReader((column,), read, dotted, has_default=True)


def _is_empty(value: JSON) -> bool:
    """Return whether a value says nothing: null, NaN, blank text, an empty list, or an object of such values."""
    if isinstance(value, Mapping):
        return all(map(_is_empty, value.values()))
    return value is None or value != value or value == [] or (isinstance(value, str) and not value.strip())


def refuse_missing(name: str, path: str, row: Mapping[str, JSON]) -> InputError:
    """Build the error of a column that the user names and a row does not have."""
    return InputError(f'has no column "{path}" (fields: {name}); {suggestion(path, row)}')
