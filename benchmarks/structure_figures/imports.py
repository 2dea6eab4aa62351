"""Import circles inside a package, between its modules and between its folders.

An import counts where it runs when the module is imported; one under TYPE_CHECKING counts apart, one inside a function never does. A circle
is a strongly connected component: modules that all reach one another.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from benchmarks.structure_figures.figure import Figure, count
from benchmarks.structure_figures.source import Module

Graph = Mapping[str, set[str]]


def circle_figures(package: str, modules: Sequence[Module]) -> Iterator[Figure]:
    """Count the circles of one package."""
    for suffix, with_types in (("", False), (", TYPE_CHECKING too", True)):
        graph = import_graph(modules, with_types=with_types)
        yield count(f"import circles of modules{suffix}", package, _described(circles(graph)))
        for what, with_loose in (("subpackages", False), ("subpackages and the modules beside them", True)):
            yield count(
                f"import circles of {what}{suffix}", package, _described(_folder_circles(graph, modules, with_loose))
            )


def import_graph(modules: Sequence[Module], *, with_types: bool) -> Graph:
    """Map each module to those of `modules` that it imports; `from . import name` is the module of that name if there is one."""
    names = {module.name for module in modules}
    return {
        module.name: {
            resolved
            for name in _imported(module, with_types=with_types)
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
    """Find circles between the direct subfolders of each folder, each with all that it holds."""
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


def _imported(module: Module, *, with_types: bool) -> Iterator[str]:
    """Iterate over the dotted names that are imported; for `from a import b` that is a.b."""
    for node in _statements(module.tree, with_types=with_types):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_relative(module, node)
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def _statements(parent: ast.AST, *, with_types: bool) -> Iterator[ast.AST]:
    """Iterate over the statements that run on import; class bodies do, function bodies don't."""
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in [*(node.body if with_types else ()), *node.orelse]:
                yield statement
                yield from _statements(statement, with_types=with_types)
            continue
        yield node
        yield from _statements(node, with_types=with_types)


def _resolve(name: str, names: set[str]) -> str | None:
    """Return the module that a dotted name stands for or lies in."""
    while name and name not in names:
        name = name.rpartition(".")[0]
    return name or None


def _reachable(graph: Graph, start: str) -> set[str]:
    """Collect what can be reached from a node; itself only if it lies on a circle."""
    seen: set[str] = set()
    stack = [*graph[start]]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack += graph[node]
    return seen


def _is_acyclic(graph: Graph) -> bool:
    """Ask the standard library."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError:
        return False
    return True


def _described(components: Sequence[Sequence[str]]) -> list[str]:
    """Write each circle as a line."""
    return [f"{len(component)}: {' '.join(component)}" for component in components]
