"""Reads a file of targets: JSON Lines or CSV with the columns `id` and `target`, or one JSON object from id to target."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import orjson

from providers.errors import InputError
from providers.messages import JSON


def read_targets(path: Path) -> dict[str, JSON]:
    """Read the target of each task id. Raises InputError naming the file and the row."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the targets {path} cannot be read ({error}); name a file of UTF-8 text") from error
    if path.suffix.lower() == ".csv":
        return _from_rows(path, csv.DictReader(text.splitlines()))
    try:
        if path.suffix.lower() == ".json":
            document = orjson.loads(text)
            return (
                {str(key): value for key, value in document.items()}
                if isinstance(document, dict)
                else _from_rows(path, document)
            )
        return _from_rows(path, (orjson.loads(line) for line in text.split("\n") if line.strip()))
    except orjson.JSONDecodeError as error:
        raise InputError(f"the targets {path} are not JSON: {error}; write one object per line") from error


def _from_rows(path: Path, rows: Iterable[object]) -> dict[str, JSON]:
    targets: dict[str, JSON] = {}
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping) or "id" not in row or "target" not in row:
            raise InputError(f"the targets {path}, row {number}: has no id and target; name its columns so")
        if str(row["id"]) in targets:
            raise InputError(f"the targets {path}, row {number}: the id {row['id']!r} stands twice; keep one")
        targets[str(row["id"])] = row["target"]
    return targets
