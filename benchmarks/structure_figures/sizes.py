"""Sizes: entries of folders, lines of files and functions, nesting, parameters."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.structure_figures.figure import TreeFigure, count
from benchmarks.structure_figures.source import Function, Module, functions

MOST_ENTRIES = 14
MOST_FILE_LINES = 300
MOST_FUNCTION_LINES = 40
MOST_PARAMETERS = 5
_Block = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)


def folder_figures(root: Path, package: str) -> Iterator[TreeFigure]:
    """Count the entries of each folder: modules, other files and folders, `__init__.py` included."""
    folders = [root / package, *(path for path in sorted((root / package).rglob("*")) if path.is_dir())]
    sizes = {str(folder.relative_to(root)): _entries(folder) for folder in folders if _is_shown(folder)}
    yield TreeFigure("entries in the largest folder", package, max(sizes.values(), default=0))
    crowded = [f"{name}: {size}" for name, size in sizes.items() if size > MOST_ENTRIES]
    yield count(f"folders over {MOST_ENTRIES} entries", package, crowded)


def size_figures(package: str, modules: Sequence[Module]) -> Iterator[TreeFigure]:
    """Measure the files and functions of one package."""
    yield TreeFigure("files", package, len(modules))
    yield TreeFigure("lines", package, sum(module.lines for module in modules))
    long = [f"{module.name}: {module.lines}" for module in modules if module.lines > MOST_FILE_LINES]
    yield count(f"files over {MOST_FILE_LINES} lines", package, long)
    measured = [(place.place, node) for module in modules for place, node in functions(module)]
    yield TreeFigure("functions", package, len(measured))
    lengths = [(place, _lines(node)) for place, node in measured]
    yield count(f"functions over {MOST_FUNCTION_LINES} lines", package, _over(lengths, MOST_FUNCTION_LINES))
    parameters = [(place, _parameters(node)) for place, node in measured]
    yield count(f"functions over {MOST_PARAMETERS} parameters", package, _over(parameters, MOST_PARAMETERS))
    depths = [(place, nesting(node)) for place, node in measured]
    deepest = max((depth for _, depth in depths), default=0)
    yield TreeFigure("deepest nesting", package, deepest, _over(depths, deepest - 1))


def nesting(node: ast.AST) -> int:
    """Count the maximum depth of nested blocks; `elif` adds no level, and inner functions count separately."""
    if isinstance(node, ast.If):
        body = max((nesting_of(child) for child in node.body), default=0)
        is_elif = len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If)
        rest = max((nesting_of(child) - (1 if is_elif else 0) for child in node.orelse), default=0)
        return max(body, rest)
    return max((nesting_of(child) for child in ast.iter_child_nodes(node)), default=0)


def nesting_of(node: ast.AST) -> int:
    """Count the blocks of a statement, itself included."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return 0
    return nesting(node) + (1 if isinstance(node, _Block) else 0)


def _entries(folder: Path) -> int:
    """Count the visible entries."""
    return sum(_is_shown(path) for path in folder.iterdir())


def _is_shown(path: Path) -> bool:
    """Check that a path is neither a cache nor hidden."""
    return not any(part.startswith(".") or part == "__pycache__" for part in path.parts[-2:])


def _lines(node: Function) -> int:
    """Count the lines from `def` to the last one."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _parameters(node: Function) -> int:
    """Count the parameters without `self` and `cls`."""
    arguments = node.args
    names = [parameter.arg for parameter in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    starred = (arguments.vararg is not None) + (arguments.kwarg is not None)
    return len(names) - (names[:1] in (["self"], ["cls"])) + starred


def _over(values: Sequence[tuple[str, int]], most: int) -> list[str]:
    """List the places whose value exceeds the maximum."""
    return [f"{place}: {value}" for place, value in values if value > most]
