"""Writing that survives a crash: all of a file or nothing of it, and a directory that remembers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def fsync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a temporary file beside `path`, fsync, rename over it, fsync the directory."""
    pending = path.with_name(f".{path.name}.pending")
    with pending.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    pending.rename(path)
    fsync_directory(path.parent)
