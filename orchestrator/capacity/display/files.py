"""Results as files: each whole or not there. What cannot be written is said before anything is sent, where that can be known."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from providers.errors import InputError, StorageError
from providers.messages import JSON
from runners.durable import replace_file


def require_writable(path: str | Path | None) -> None:
    """Before anything is sent. Raises InputError."""
    if path is None:
        return
    pending = Path(path).with_name(f".{Path(path).name}.pending")
    try:
        pending.parent.mkdir(parents=True, exist_ok=True)
        pending.touch()
        pending.unlink()
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another place") from error


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """As indented JSON. Raises StorageError."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    _write(path, lambda file: file.write(orjson.dumps(document, option=options)))


def write_rows(path: Path, rows: Iterable[dict[str, JSON]]) -> None:
    """CSV where the name ends so, else JSON lines. Raises StorageError."""
    if path.suffix == ".csv":
        write_bytes(path, as_csv(list(rows)).encode())
    else:
        _write(path, lambda file: file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows))


def write_bytes(path: Path, content: bytes) -> None:
    """Raises StorageError."""
    _write(path, lambda file: file.write(content))


def as_csv(rows: Sequence[dict[str, JSON]]) -> str:
    """A table with the keys of its first row as its heads."""
    text = StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def _write(path: Path, write: Callable[[BinaryIO], object]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, write)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; what was written before is safe") from error
