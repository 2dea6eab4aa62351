"""Values by a dotted path, such as `answer.text` or `choices.0`; a name with dots of its own is found as it stands."""

from __future__ import annotations

from collections.abc import Container, Mapping

from providers.messages import JSON


def value_at(row: Mapping[str, JSON], path: str) -> JSON:
    """Return the value at a path; None where there is none."""
    return row[path] if path in row else _descend(row, path)


def has_path(row: Container[str], path: str) -> bool:
    """Return whether a row or a header has the column that a path starts from."""
    return path in row or path.partition(".")[0] in row


def roots_of(path: str) -> tuple[str, str]:
    """Return the columns that may hold the value at a path."""
    return path, path.partition(".")[0]


def _descend(row: Mapping[str, JSON], path: str) -> JSON:
    value: JSON = row
    for part in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value
