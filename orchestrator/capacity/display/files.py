"""Result files. Each is written completely or not at all. Where possible, an unwritable path is reported before requests are sent."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import BinaryIO

import orjson

from providers.errors import InputError, StorageError
from providers.messages import JSON
from runners.durable import make_directory, replace_file


def require_writable(path: str | Path | None) -> None:
    """Check that a file can be written there, before requests are sent. Raises InputError."""
    if path is None:
        return
    pending = Path(path).with_name(f".{Path(path).name}.pending")
    try:
        pending.parent.mkdir(parents=True, exist_ok=True)
        pending.touch()
        pending.unlink()
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another path") from error


def write_document(path: Path, document: Mapping[str, object]) -> None:
    """Write the document as indented JSON. Raises StorageError."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    _write(path, lambda file: file.write(orjson.dumps(document, option=options)))


def write_rows(path: Path, rows: Iterable[dict[str, JSON]]) -> None:
    """Write CSV where the name ends with `.csv`, else JSON Lines. Raises StorageError."""
    if path.suffix == ".csv":
        write_bytes(path, as_csv(list(rows)).encode())
    else:
        _write(path, lambda file: file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows))


def write_bytes(path: Path, content: bytes) -> None:
    """Write the content as a file. Raises StorageError."""
    _write(path, lambda file: file.write(content))


def as_csv(rows: Sequence[dict[str, JSON]]) -> str:
    """Format rows as CSV; the keys of the first row are the header."""
    text = StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def _write(path: Path, write: Callable[[BinaryIO], object]) -> None:
    try:
        make_directory(path.parent)
        replace_file(path, write, opener=None)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; earlier results are unchanged") from error
