"""The modules of the source packages, parsed. Nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("providers", "sharding", "runners", "orchestrator")
"""From the lowest layer to the highest."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Module:
    """A parsed module."""

    name: str
    """Dotted; the `__init__` of a package has the package's name."""
    path: Path
    is_package: bool
    lines: int
    tree: ast.Module

    @property
    def package(self) -> str:
        """The top-level package."""
        return self.name.partition(".")[0]

    @property
    def folder(self) -> str:
        """The dotted name of the package that contains the module; for an `__init__` the package itself."""
        return self.name if self.is_package else self.name.rpartition(".")[0]

    @property
    def is_public(self) -> bool:
        """Whether no part of the name begins with an underscore."""
        return not any(part.startswith("_") and part != "__main__" for part in self.name.split("."))


@dataclass(frozen=True, slots=True)
class Definition:
    """A function or a class and its location."""

    module: Module
    qualname: str
    node: Function | ast.ClassDef
    is_public: bool
    """Whether neither it nor its module or class begins with an underscore, and it is not inside a function."""
    in_class: bool

    @property
    def place(self) -> str:
        """Module and qualified name."""
        return f"{self.module.name}:{self.qualname}"


def read_modules(root: Path, packages: Sequence[str] = PACKAGES) -> list[Module]:
    """Parse every module of the packages below `root`."""
    paths = [path for package in packages for path in sorted((root / package).rglob("*.py"))]
    return [_parse(root, path) for path in paths]


def definitions(module: Module) -> Iterator[Definition]:
    """Iterate over all functions and classes of a module, nested ones too."""
    yield from _walk(module, module.tree, "", module.is_public, in_class=False)


def functions(module: Module) -> Iterator[tuple[Definition, Function]]:
    """Iterate over the functions and methods of a module."""
    for definition in definitions(module):
        if isinstance(definition.node, Function):
            yield definition, definition.node


def decorators(node: Function | ast.ClassDef) -> set[str]:
    """Collect the last names of the decorators: `functools.cached_property` gives "cached_property"."""
    targets = [node.func if isinstance(node, ast.Call) else node for node in node.decorator_list]
    return {target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "") for target in targets}


def _parse(root: Path, path: Path) -> Module:
    """Read one file."""
    parts = path.relative_to(root).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    text = path.read_text()
    name = ".".join(parts[:-1] if is_package else parts)
    return Module(name, path, is_package, len(text.splitlines()), ast.parse(text, str(path)))


def _walk(module: Module, parent: ast.AST, prefix: str, is_public: bool, *, in_class: bool) -> Iterator[Definition]:
    """Descend into blocks, classes and functions."""
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            is_known = is_public and not node.name.startswith("_")
            yield Definition(module, prefix + node.name, node, is_known, in_class)
            is_class = isinstance(node, ast.ClassDef)
            yield from _walk(module, node, f"{prefix}{node.name}.", is_known and is_class, in_class=is_class)
        else:
            yield from _walk(module, node, prefix, is_public, in_class=in_class)
