"""Values by a dotted path, such as `flawed.missing_step.severe`; a name with dots of its own is found as it stands."""

from __future__ import annotations

from collections.abc import Mapping

from providers.messages import JSON


def value_at(row: Mapping[str, JSON], path: str) -> JSON:
    """Return the value at a path; None where there is none."""
    if path in row:
        return row[path]
    value: JSON = row
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def roots_of(path: str) -> tuple[str, str]:
    """Return the columns that may hold the value at a path."""
    return path, path.partition(".")[0]
