"""Import circles inside a package, between its modules and between its folders.

Three scopes: imports that run when the module is imported; those under TYPE_CHECKING too; those inside functions too. A circle is a
strongly connected component: modules that all reach one another. "Folders" are subpackages and the modules that lie beside them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from graphlib import CycleError, TopologicalSorter

from benchmarks.structure_figures.figure import TreeFigure, count
from benchmarks.structure_figures.source import Module

Graph = Mapping[str, set[str]]


class ImportScope(IntEnum):
    """Which imports count; each scope includes those before it."""

    ON_IMPORT = 0
    TYPES = 1
    FUNCTIONS = 2


_SUFFIXES = {
    ImportScope.ON_IMPORT: "",
    ImportScope.TYPES: ", TYPE_CHECKING too",
    ImportScope.FUNCTIONS: ", in functions too",
}


def circle_figures(package: str, modules: Sequence[Module]) -> Iterator[TreeFigure]:
    """Count the circles of one package."""
    for scope, suffix in _SUFFIXES.items():
        graph = import_graph(modules, scope)
        yield count(f"import circles of modules{suffix}", package, _described(circles(graph)))
        siblings, levels = (_folder_circles(graph, modules, with_loose) for with_loose in (False, True))
        yield count(f"import circles of subpackages{suffix}", package, _described(siblings))
        yield count(f"import circles of folders{suffix}", package, _described(levels))


def import_graph(modules: Sequence[Module], scope: ImportScope = ImportScope.ON_IMPORT) -> Graph:
    """Map each module to those of `modules` that it imports; `from . import name` means the module of that name if there is one."""
    names = {module.name for module in modules}
    return {
        module.name: {
            resolved
            for name in _imported(module, scope)
            if (resolved := _resolve(name, names)) is not None and resolved != module.name
        }
        for module in modules
    }


def circles(graph: Graph) -> list[list[str]]:
    """Find the strongly connected components of more than one node."""
    reached = {node: _reachable(graph, node) for node in graph} if not _is_acyclic(graph) else {}
    components = {
        frozenset(other for other in targets if node in reached[other])
        for node, targets in reached.items()
        if node in targets
    }
    return sorted(sorted(component) for component in components if len(component) > 1)


def resolve_relative(module: Module, node: ast.ImportFrom) -> str:
    """Return the absolute dotted name that a `from` import names."""
    if not node.level:
        return node.module or ""
    parts = module.folder.split(".")
    base = parts[: len(parts) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)


def _folder_circles(graph: Graph, modules: Sequence[Module], with_loose: bool) -> list[list[str]]:
    """Find circles between the direct subfolders of each folder, each with all that it holds; `with_loose` adds the modules beside them."""
    folders = {module.folder for module in modules}
    rolled = [_roll_up(graph, modules, folder, with_loose) for folder in sorted(folders)]
    return [circle for graph_of_folder in rolled for circle in circles(graph_of_folder)]


def _roll_up(graph: Graph, modules: Sequence[Module], folder: str, with_loose: bool) -> Graph:
    """Join the modules of each direct subfolder of `folder` to one node; its own modules are one node, or none."""
    nodes = {module.name: _child(module, folder) for module in modules if f"{module.folder}.".startswith(f"{folder}.")}
    kept = {name: node for name, node in nodes.items() if with_loose or node != folder}
    rolled: dict[str, set[str]] = {node: set() for node in kept.values()}
    for name, node in kept.items():
        rolled[node] |= {kept[target] for target in graph[name] if target in kept} - {node}
    return rolled


def _child(module: Module, folder: str) -> str:
    """Name the direct subfolder of `folder` that holds the module, or `folder` itself."""
    rest = module.folder[len(folder) + 1 :]
    return f"{folder}.{rest.partition('.')[0]}" if rest else folder


def _imported(module: Module, scope: ImportScope) -> Iterator[str]:
    """Iterate over the dotted names that are imported; for `from a import b` that is a.b."""
    for node in _statements(module.tree, scope):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_relative(module, node)
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def _statements(parent: ast.AST, scope: ImportScope) -> Iterator[ast.AST]:
    """Iterate over the statements whose imports are in the scope."""
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and scope < ImportScope.FUNCTIONS:
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in [*(node.body if scope >= ImportScope.TYPES else ()), *node.orelse]:
                yield statement
                yield from _statements(statement, scope)
            continue
        yield node
        yield from _statements(node, scope)


def _resolve(name: str, names: set[str]) -> str | None:
    """Return the module that a dotted name stands for or lies in."""
    while name and name not in names:
        name = name.rpartition(".")[0]
    return name or None


def _reachable(graph: Graph, start: str) -> set[str]:
    """Collect the nodes that can be reached from a node; the node itself only if it is on a circle."""
    seen: set[str] = set()
    stack = [*graph[start]]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack += graph[node]
    return seen


def _is_acyclic(graph: Graph) -> bool:
    """Check that the graph has no cycle."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError:
        return False
    return True


def _described(components: Sequence[Sequence[str]]) -> list[str]:
    """Format each circle as a line."""
    return [f"{len(component)}: {' '.join(component)}" for component in components]
