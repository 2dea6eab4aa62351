"""Modes of the files and folders that a run makes: as open as the folder that they are made in.

A run directory is private (0700), unless `run.share_files` opens it to what the umask allows. What is made in it follows its mode, so
nobody below needs to know the setting, and an existing directory keeps its modes.
"""

from __future__ import annotations

import os
from pathlib import Path

PRIVATE_FOLDER = 0o700
OPEN_FOLDER = 0o777
"""As open as the umask lets it be."""


def folder_mode(parent: Path) -> int:
    """Return the mode of a new folder in `parent`, or in the nearest that exists above it; the umask applies to it as well."""
    nearest = next(folder for folder in (parent, *parent.parents, Path()) if folder.exists())
    return nearest.stat().st_mode & 0o777


def file_mode(folder: Path) -> int:
    """Return the mode of a new file in an existing `folder`; the umask applies to it as well."""
    return folder_mode(folder) & 0o666


def as_its_folder(path: str, flags: int) -> int:
    """Open a file, and make it as open as its folder: an opener for `open`. Raises OSError where the file is a symbolic link.

    A run directory may come from somebody else: a link in it would write to any file of the user who resumes it.
    """
    return os.open(path, flags | os.O_NOFOLLOW, file_mode(Path(path).parent))
