"""What a user writes under `fields`: a column, a dotted path, several columns in one text, or a constant for the whole file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from providers.errors import InputError
from providers.messages import JSON
from providers.suggestion import suggestion

from .dotted import has_path, roots_of, value_at

FieldValue = str | Mapping[str, JSON]
"""`answer.text`, `"{id}.{level}"` or `{const: easy}`."""
PLACE = re.compile(r"\{([^{}]+)\}")
CONST = "const"
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

    @property
    def columns(self) -> frozenset[str]:
        """Every column that it may read."""
        return frozenset(column for path in self.paths for column in roots_of(path))

    def missing(self, row: Mapping[str, JSON]) -> str | None:
        """Return the first path whose column the row does not have."""
        return next((path for path in self.paths if not has_path(row, path)), None)


def field_reader(name: str, setting: FieldValue, file_name: str) -> FieldReader:
    """Build the reader of a setting. Raises InputError with the reason only."""
    if isinstance(setting, Mapping):
        return _constant(name, setting)
    if not setting:
        raise InputError(
            f'fields: {name} names no column; write a column, a composition such as "{{id}}.{{level}}", or {{const: …}}'
        )
    paths = tuple(dict.fromkeys(PLACE.findall(setting)))
    if not paths:
        dotted = DottedValue(setting)
        return FieldReader((setting,), dotted, dotted)
    needed = tuple(path for path in paths if path != FILE)

    def composed(row: Mapping[str, JSON]) -> JSON:
        return PLACE.sub(lambda match: _part(row, match[1], file_name), setting)

    return FieldReader(needed, composed)


def _constant(name: str, setting: Mapping[str, JSON]) -> FieldReader:
    if set(setting) != {CONST}:
        unknown = next((key for key in setting if key != CONST), "")
        raise InputError(
            f'fields: {name} has the unknown key "{unknown}"; write {{const: easy}} for one value in every row'
        )
    value = setting[CONST]
    return FieldReader((), lambda _row: value)


def _part(row: Mapping[str, JSON], path: str, file_name: str) -> str:
    """Return the text of one place. Raises InputError with the reason only."""
    value = value_at(row, path)
    if value is None and path == FILE:
        return file_name
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise InputError(
        f'the column "{path}", of which a field is composed, holds {value!r:.60}, not a text or a number; fix the row'
    )


def refuse_missing(name: str, path: str, row: Mapping[str, JSON]) -> InputError:
    """Build the error of a column that the user names and a row does not have."""
    return InputError(f'has no column "{path}" (fields: {name}); {suggestion(path, row)}')
