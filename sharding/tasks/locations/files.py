"""The files that a `path` stands for: a file, a pattern, a folder, a data set saved by `save_to_disk`, or one of the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

import orjson

from providers.errors import InputError
from providers.suggestion import suggestion

from ..formats.decompression import bare_name
from .hub import HUB, download

STATE = "state.json"
"""The file that marks a folder as a saved data set."""
SPLITS = "dataset_dict.json"
"""The file that marks a folder as several splits, each in a folder of its own."""


@dataclass(frozen=True, slots=True)
class TaskFile:
    """One file of tasks, or one saved data set."""

    path: Path
    shown: str | None = None
    """Its name in messages and in the fingerprint, if it is not the path."""


@dataclass(frozen=True, slots=True)
class TaskFiles:
    """The files of one `path`, in order, and what lies beside them unread."""

    files: Sequence[TaskFile]
    notes: Sequence[str] = ()


def find_files(path: str, base: Path, suffixes: Collection[str]) -> TaskFiles:
    """Find the files of a `path`; relative ones start at `base`. Raises InputError where there is none."""
    if path.startswith(HUB):
        return TaskFiles([TaskFile(local, shown) for local, shown in download(path, suffixes)])
    whole = base / path
    if not whole.exists() and "#" in whole.name:
        name, _, split = str(whole).rpartition("#")
        return _expand(as_typed(Path(name)), split, suffixes)
    return _joined([_expand(match, None, suffixes) for match in _matches(path, base)])


def find_readable(path: str, base: Path) -> TaskFiles:
    """Find the files of a `path` for a reader of one's own, which may read folders. Raises InputError where there is none."""
    return TaskFiles([TaskFile(match) for match in _matches(path, base)])


def _matches(path: str, base: Path) -> list[Path]:
    """Return the files and folders that a path or a pattern stands for."""
    pattern = str(base / path)
    if not has_magic(pattern) or Path(pattern).exists():
        return [as_typed(Path(pattern))]
    matches = sorted(glob(pattern, recursive=True))  # noqa: PTH207 - also absolute patterns
    if not matches:
        raise InputError(f"tasks: no file matches {path} under {base}")
    return [as_typed(Path(match)) for match in matches]


def _expand(path: Path, split: str | None, suffixes: Collection[str]) -> TaskFiles:
    """Return the files of one path. `split` is what follows its #."""
    if path.is_dir() and (path / SPLITS).exists():
        return TaskFiles([TaskFile(path / _chosen_split(path, split))])
    if split is not None:
        reason = "" if path.exists() else ", and there is no such file"
        raise InputError(
            f"{path}#{split}: only a folder that save_to_disk wrote with several splits takes #{split}{reason}"
        )
    if path.is_dir() and not (path / STATE).exists():
        return _in_folder(path, suffixes)
    return TaskFiles([TaskFile(path)])


def _chosen_split(path: Path, split: str | None) -> str:
    splits: list[str] = orjson.loads((path / SPLITS).read_bytes())["splits"]
    if split is None and len(splits) == 1:
        return splits[0]
    if split is None:
        raise InputError(f"{path}: has the splits {', '.join(splits)}; name one with path: {path}#{splits[-1]}")
    if split not in splits:
        raise InputError(f'{path}: has no split "{split}"; {suggestion(split, splits)}')
    return split


def _in_folder(path: Path, suffixes: Collection[str]) -> TaskFiles:
    files = sorted(file for file in path.rglob("*") if file.is_file() and not _is_hidden(file.relative_to(path)))
    taken = [TaskFile(file) for file in files if bare_name(file).suffix.lower() in suffixes]
    if not taken:
        raise InputError(
            f"{path}: the folder holds no task file; they end in {' '.join(suffixes)}, also with .gz or .zst"
        )
    left = [str(file.relative_to(path)) for file in files if bare_name(file).suffix.lower() not in suffixes]
    more = f" and {len(left) - 3} more" if len(left) > 3 else ""
    return TaskFiles(taken, [f"{path}: {', '.join(left[:3])}{more}: no task file, not read"] if left else [])


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _joined(parts: Sequence[TaskFiles]) -> TaskFiles:
    return TaskFiles([file for part in parts for file in part.files], [note for part in parts for note in part.notes])


def as_typed(path: Path) -> Path:
    """Return the path relative to the current folder if it lies below it: messages name files as they were typed."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
