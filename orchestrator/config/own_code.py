"""What a person's own code consists of: the source of its modules and the files that it declares. Results belong to both.

`declares(reads=[...])` marks a solver, scorer or reader that reads files of its own.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import TypeVar

from providers.errors import InputError

FILE = "file "
"""How the parts of a fingerprint begin that are the digest of a file."""

_READS = "__orchestrator_reads__"
_OURS = Path(__file__).parents[2]
_OUR_PACKAGES = frozenset({"orchestrator", "providers", "runners", "sharding"})
_LIBRARY = (f"{sysconfig.get_path('stdlib')}/", f"{sysconfig.get_path('platstdlib')}/")
_INSTALLED = frozenset({"site-packages", "dist-packages"})

Function = Callable[..., object]
FunctionT = TypeVar("FunctionT", bound=Function)


def declares(*, reads: Sequence[str | Path]) -> Callable[[FunctionT], FunctionT]:
    """Declare the files that your solver, scorer or reader reads, from the folder of its module on.

    They belong to the configuration of a run: `resume` refuses where one has changed.
    """

    def declare(function: FunctionT) -> FunctionT:
        setattr(function, _READS, tuple(map(str, reads)))
        return function

    return declare


def code_parts(functions: Mapping[str, Function]) -> dict[str, str]:
    """Return digests of the files that `functions` consist of, and of those they declare; the keys say what a function is.

    Raises InputError where a declared file cannot be read.
    """
    parts: dict[str, str] = {}
    for name, function in functions.items():
        plain = _plain(function)
        module = sys.modules.get(plain.__module__)
        file = getattr(module, "__file__", None)
        if plain.__module__ == "__main__" or file is None:
            parts[f"source of {name}"] = _digest(_source(plain).encode())
        for module_name, path in [] if plain.__module__ == "__main__" else _own_modules(plain.__module__, file):
            parts[FILE + _shown(module_name, path)] = _digest(path.read_bytes())
        for declared in getattr(function, _READS, ()):
            parts[FILE + declared] = _declared_digest(name, declared, Path(file or ".").resolve().parent)
    return parts


def _plain(function: Function) -> Function:
    """Return the function inside wrappers, or the class of a callable object."""
    while isinstance(function, partial):
        function = function.func
    function = inspect.unwrap(function)
    return function if hasattr(function, "__qualname__") else type(function)


def _declared_digest(name: str, declared: str, folder: Path) -> str:
    path = folder / declared if (folder / declared).exists() else Path(declared)
    try:
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        return _digest(b"".join(file.read_bytes() for file in files))
    except OSError as error:
        raise InputError(
            f"{name} declares that it reads {declared}, which cannot be read ({error.strerror}); it is looked for in {folder} and here"
        ) from error


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


# ------------------------------------------------------------------ modules
def _own_modules(root: str, file: str | None) -> Iterator[tuple[str, Path]]:
    """Yield a module and all that it imports, in turn, but for installed packages and Python's library."""
    pending: list[tuple[str, str | None]] = [(root, file)]
    seen: set[str] = set()
    while pending:
        name, found = pending.pop()
        if name in seen or found is None or (name != root and not _is_own(name, found, root)):
            continue
        seen.add(name)
        path = Path(found)
        if path.suffix == ".py":
            pending += [(imported, _file_of(imported)) for imported in _imports(path.read_bytes(), name, path)]
        yield name, path


def _is_own(name: str, file: str, root: str) -> bool:
    package = name.partition(".")[0]
    if package in _OUR_PACKAGES and Path(file).is_relative_to(_OURS):
        return False
    is_installed = file.startswith(_LIBRARY) or not _INSTALLED.isdisjoint(Path(file).parts)
    return package == root.partition(".")[0] or not is_installed


def _file_of(name: str) -> str | None:
    """Find the file of a module without importing it or its package; None for a built-in module, or an attribute of a module."""
    package, *below = name.split(".")
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None or not below:
        return spec.origin if spec is not None and spec.has_location else None
    places = [Path(folder, *below) for folder in spec.submodule_search_locations or ()]
    files = (file for place in places for file in (place.with_suffix(".py"), place / "__init__.py"))
    return next((str(file) for file in files if file.exists()), None)


def _imports(source: bytes, name: str, path: Path) -> Iterator[str]:
    """Yield the names of what a source imports, also inside functions; some may be attributes of modules."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (package or not node.level):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package or None)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _shown(name: str, path: Path) -> str:
    """Name a module's file alike on every machine."""
    folder = name.replace(".", "/")
    return f"{folder}/{path.name}" if path.name == "__init__.py" else f"{folder}{path.suffix}"


# ------------------------------------------------------------------ functions of a script or a notebook
def _source(function: Function) -> str:
    """Return the source of a function and of those in the same script that it calls; the rest of the script may change."""
    sources: dict[str, str] = {}
    pending = [function]
    while pending:
        current = pending.pop()
        if current.__qualname__ in sources:
            continue
        sources[current.__qualname__] = _text(current)
        if isinstance(current, FunctionType):
            called = (current.__globals__.get(name) for name in _names(current.__code__))
            pending += [value for value in called if isinstance(value, FunctionType) and value.__module__ == "__main__"]
    return "\n".join(text for _, text in sorted(sources.items()))


def _text(function: Function) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):  # typed at a prompt
        code = getattr(function, "__code__", None)
        return repr((code.co_code, code.co_names)) if isinstance(code, CodeType) else ""


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
