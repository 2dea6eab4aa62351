"""A run directory that is written beside another under a hidden name and gets its own name only when it is complete.

A crash leaves the hidden folder, which no command takes for a run; the next `rescore` of the same run deletes it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import count
from pathlib import Path

from providers.errors import InputError, StorageError
from providers.file_modes import folder_mode
from runners.durable import fsync_directory

from ..results.run_directory.directory import RunDirectory


@contextmanager
def new_directory_beside(source: RunDirectory, parent: Path, *, locks: bool = True) -> Iterator[RunDirectory]:
    """Yield a hidden directory that becomes `RUN-rescored-N` in `parent` at the end of the block, and vanishes where that fails.

    No process may run or rescore the source meanwhile. Raises StorageError where something cannot be written.
    """
    can_lock = os.access(source.path, os.W_OK)  # nobody runs a run that cannot be written
    with source.held(locks=locks) if can_lock else nullcontext():
        name = _free_name(source, parent)
        pending = parent / f".{name}.pending"
        try:
            for stale in parent.glob(f".{_stem(source)}*.pending") if can_lock else ():
                shutil.rmtree(stale)
            pending.mkdir(folder_mode(source.path))
            yield RunDirectory(pending)
            fsync_directory(pending)
            pending.rename(parent / name)
            fsync_directory(parent)
        except BaseException as error:
            shutil.rmtree(pending, ignore_errors=True)
            if isinstance(error, OSError | StorageError):
                raise StorageError(_sentence(error, source, parent)) from error
            raise


def new_run_id(pending: RunDirectory) -> str:
    """Return the name that a hidden directory will get."""
    return pending.path.name.removeprefix(".").removesuffix(".pending")


def _stem(source: RunDirectory) -> str:
    return f"{source.path.resolve().name}-rescored-"


def _free_name(source: RunDirectory, parent: Path) -> str:
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise InputError(f"{parent} is no folder that can be written to; choose another with --output-dir")
    names = (f"{_stem(source)}{number}" for number in count(1))
    return next(name for name in names if not (parent / name).exists())


def _sentence(error: OSError | StorageError, source: RunDirectory, parent: Path) -> str:
    reason = error.strerror or error if isinstance(error, OSError) else error.__cause__ or error
    return f"cannot write the new results in {parent} ({reason}); {source.path} is as it was: make room, then rescore again"
