"""Optional packages: imported on demand, with a clear error if they are not installed."""

from __future__ import annotations

import importlib
import importlib.util

from providers.errors import InputError

DISTRIBUTION = "llm-batch-orchestrator"
"""The name under which pip knows this project."""


def is_installed(package: str) -> bool:
    """Return whether an optional package is there."""
    return importlib.util.find_spec(package) is not None


def require_extra(*packages: str, extra: str = "analysis") -> None:
    """Raise InputError if one of the packages that `extra` installs is missing."""
    for package in packages:
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            raise InputError(
                f"this needs {package}, which is not installed: pip install '{DISTRIBUTION}[{extra}]'"
            ) from error
