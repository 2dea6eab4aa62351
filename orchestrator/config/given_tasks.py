"""Tasks that come from Python: a list of dicts, a DataFrame of pandas or Polars, an Arrow table, or a data set of Hugging Face.

They are written to a file named after its content in the folder of the runs. A resume, a simulator's process and a colleague read the same
tasks from there, and every message about a row can name its place.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import orjson

from providers.errors import InputError
from providers.file_modes import OPEN_FOLDER, PRIVATE_FOLDER
from runners.durable import fsync_directory, make_directory, replace_file


class SupportsColumns(Protocol):
    """A DataFrame, an Arrow table or a data set: something with columns. How it is read follows from what it is."""

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def __getitem__(self, key: Any, /) -> Any:
        """Return a column or rows."""
        ...


FOLDER = "tasks"
"""Below the folder of the runs."""


def write_given_tasks(raw: dict[str, Any], tasks: object, fields: Mapping[str, object] | None = None) -> None:
    """Replace rows that stand in the configuration, or are given as `tasks`, by the path of a file with them. Raises InputError.

    `fields` add to those of the one entry under `tasks`.
    """
    entries = raw.get("tasks")
    if tasks is not None:
        entries = [{**_only_entry(entries, "tasks="), "path": tasks}]
    if fields is not None:
        entry = _only_entry(entries, "fields=")
        own = entry.get("fields")
        entries = [{**entry, "fields": {**(own if isinstance(own, Mapping) else {}), **fields}}]
    if not isinstance(entries, list | tuple):
        return
    folder, mode = (
        Path(_output_dir(raw)) / FOLDER,
        OPEN_FOLDER if _setting(raw, "share_files") is True else PRIVATE_FOLDER,
    )
    raw["tasks"] = [_written(entry, folder, mode) for entry in entries]


def _only_entry(entries: object, argument: str) -> Mapping[str, object]:
    """Return the entry of the file whose fields and scorer apply to the given tasks."""
    if not entries:
        return {}
    if isinstance(entries, list | tuple) and len(entries) == 1 and isinstance(entries[0], Mapping):
        return entries[0]
    raise InputError(
        f"{argument} is for the one entry under `tasks`, and the configuration has several; write it there, under `path` or `fields`"
    )


def _output_dir(raw: Mapping[str, Any]) -> str:
    given = _setting(raw, "output_dir")
    return given if isinstance(given, str) else "runs"


def _setting(raw: Mapping[str, Any], name: str) -> object:
    run = raw.get("run")
    return run.get(name) if isinstance(run, Mapping) else None


def _written(entry: object, folder: Path, mode: int) -> object:
    if not isinstance(entry, Mapping) or isinstance(entry.get("path"), str | None):
        return entry
    given = entry["path"]
    path = str(given) if isinstance(given, os.PathLike) else str(_store(given, folder, mode))
    return {**entry, "path": path}


def _store(given: object, folder: Path, mode: int) -> Path:
    """Write the rows to a file and return its absolute path. The folder gets the `mode` where it is new."""
    content, suffix = _encoded(given)
    path = folder.absolute() / f"{hashlib.sha256(content).hexdigest()[:16]}{suffix}"
    try:
        if not path.exists():
            make_directory(folder, mode)
            partial = path.with_suffix(f".{os.getpid()}")
            replace_file(partial, lambda file: file.write(content))
            partial.replace(path)
            fsync_directory(folder)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another run.output_dir") from error
    return path


def _encoded(given: Any) -> tuple[bytes, str]:
    """Return the bytes of a file with the rows, and its suffix."""
    table = _as_table(given)
    if table is not None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", row_group_size=10_000)
        return sink.getvalue().to_pybytes(), ".parquet"
    if isinstance(given, Mapping | str | bytes) or not isinstance(given, Iterable):
        raise InputError(
            f"tasks must be a list of dicts, a DataFrame or a data set, not {type(given).__name__}; "
            "of several splits name one, such as dataset['test']"
        )
    return b"".join(_line(row, number) for number, row in enumerate(given)), ".jsonl"


def _as_table(given: Any) -> Any:
    """Return what is a table already as an Arrow table; None for rows. Raises InputError where a column has no one type."""
    import pyarrow as pa

    if isinstance(given, pa.Table):
        return given
    try:
        if hasattr(given, "with_format") and hasattr(given, "__len__") and not isinstance(given, Mapping):
            return given.with_format("arrow")[:]  # a data set of Hugging Face, with its selection of rows
        if hasattr(given, "to_arrow"):
            return given.to_arrow()  # Polars
        if hasattr(given, "columns") and hasattr(given, "to_dict"):
            return pa.Table.from_pandas(given, preserve_index=False)
    except (pa.ArrowException, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"tasks: the DataFrame has a column with values of several types ({reason}); make them one type"
        ) from error
    return None


def _line(row: object, number: int) -> bytes:
    if isinstance(row, str):
        raise InputError(
            "tasks: path is one file, pattern or folder; write an entry for each: [{path: a.jsonl}, {path: b.jsonl}]"
        )
    if not isinstance(row, Mapping):
        raise InputError(
            f"tasks[{number}] is {type(row).__name__}, not a dict of columns; write {{'input': …, 'target': …}}"
        )
    try:
        return orjson.dumps(dict(row), default=_plain, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:
        return _exact_line(row, number)


def _exact_line(row: Mapping[str, object], number: int) -> bytes:
    """Encode a row with the slower encoder, which writes integers of any size."""
    try:
        return json.dumps(dict(row), default=_plain, allow_nan=False).encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise InputError(f"tasks[{number}] holds what JSON cannot ({error}); convert it to text or a number") from error


def _plain(value: object) -> object:
    """Convert a value that JSON does not have: a decimal to its text, a set to a list."""
    from decimal import Decimal

    if isinstance(value, Decimal | Path):
        return str(value)
    if isinstance(value, set | frozenset):
        return list(value)
    raise TypeError(f"a {type(value).__name__}")
