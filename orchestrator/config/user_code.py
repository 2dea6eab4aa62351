"""A user's own functions, named as `module:function` in the file."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from providers.errors import InputError


def load_function(name: str, purpose: str) -> Callable[..., object]:
    """Import `module:function`; the current folder counts as importable. Raises InputError in one sentence."""
    module_name, _, function_name = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # also what the module itself raises
        raise InputError(
            f"cannot import {module_name or 'a module without a name'} for the {purpose} {name}: {error}"
        ) from error
    function: object = getattr(module, function_name, None)
    if not callable(function):
        passed_in = (
            f"; it was passed in from Python, so resume from there with {purpose}=" if module_name == "__main__" else ""
        )
        raise InputError(f"{module_name} has no function {function_name} for the {purpose} {name}{passed_in}")
    return function
