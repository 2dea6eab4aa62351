"""Names: classes that exist twice, public names without a docstring, `Any` in public signatures."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence

from benchmarks.structure_figures.figure import WHOLE, TreeFigure, count
from benchmarks.structure_figures.imports import resolve_relative
from benchmarks.structure_figures.source import Definition, Function, Module, decorators, definitions, functions

EXPORTING = "orchestrator"
_REPEATED = {"overload", "setter", "deleter"}


def duplicate_figure(modules: Sequence[Module]) -> TreeFigure:
    """Count the class names that are defined more than once; a leading underscore does not make another name."""
    places: dict[str, list[str]] = defaultdict(list)
    for module in modules:
        for definition in definitions(module):
            if isinstance(definition.node, ast.ClassDef):
                places[definition.node.name.lstrip("_")].append(module.name)
    twice = [f"{name}: {' '.join(where)}" for name, where in sorted(places.items()) if len(where) > 1]
    return count("class names defined more than once", WHOLE, twice)


def docstring_figures(package: str, modules: Sequence[Module]) -> Iterator[TreeFigure]:
    """Count the public names without a docstring of their own, by kind; dunder methods aren't public names."""
    silent = [module.name for module in modules if module.is_public and ast.get_docstring(module.tree) is None]
    yield count("public modules without docstring", package, silent)
    public = [definition for module in modules for definition in definitions(module) if definition.is_public]
    silent_definitions = [d for d in public if ast.get_docstring(d.node) is None and not decorators(d.node) & _REPEATED]
    for kind in ("classes", "functions", "methods"):
        items = [definition.place for definition in silent_definitions if _kind(definition) == kind]
        yield count(f"public {kind} without docstring", package, items)


def any_figures(package: str, modules: Sequence[Module]) -> Iterator[TreeFigure]:
    """Count public functions and public fields whose annotation says `Any`."""
    public = [(place, node) for module in modules for place, node in functions(module) if place.is_public]
    yield count("public functions with Any", package, [place.place for place, node in public if _says_any(node)])
    classes = [d for module in modules for d in definitions(module) if d.is_public and isinstance(d.node, ast.ClassDef)]
    fields = [f"{d.place}.{name}" for d in classes for name, note in _fields(d.node) if _has_any(note)]
    yield count("public fields with Any", package, fields)


def export_figures(modules: Sequence[Module]) -> Iterator[TreeFigure]:
    """Count what `orchestrator` exports, and what of it has no docstring where it is defined."""
    by_name = {module.name: module for module in modules}
    names = _exported(by_name[EXPORTING]) if EXPORTING in by_name else []
    yield count("exported names", EXPORTING, names)
    silent = [name for name in names if not _is_documented(by_name[EXPORTING], name, by_name)]
    yield count("exported names without docstring", EXPORTING, silent)


def _kind(definition: Definition) -> str:
    """Distinguish classes, functions and methods."""
    if isinstance(definition.node, ast.ClassDef):
        return "classes"
    return "methods" if definition.in_class else "functions"


def _says_any(node: Function) -> bool:
    """Check whether `Any` occurs in a parameter or in the result."""
    arguments = node.args
    starred = [parameter for parameter in (arguments.vararg, arguments.kwarg) if parameter]
    parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *starred]
    return any(_has_any(note) for note in [node.returns, *(parameter.annotation for parameter in parameters)])


def _has_any(annotation: ast.AST | None) -> bool:
    """Find the name `Any` in an annotation."""
    inner = ast.walk(annotation) if annotation else ()
    return any(getattr(node, "id", None) == "Any" or getattr(node, "attr", None) == "Any" for node in inner)


def _fields(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Iterate over the annotated public names in a class body."""
    for statement in ast.iter_child_nodes(node):
        target = statement.target if isinstance(statement, ast.AnnAssign) else None
        if isinstance(statement, ast.AnnAssign) and isinstance(target, ast.Name) and not target.id.startswith("_"):
            yield target.id, statement.annotation


def _exported(module: Module) -> list[str]:
    """Read `__all__`."""
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "__all__" for target in node.targets):
            return [str(name) for name in ast.literal_eval(node.value)]
    return []


def _is_documented(module: Module, name: str, by_name: dict[str, Module]) -> bool:
    """Find the definition of a name and check for its docstring; an assignment has it on the next line."""
    body = module.tree.body
    for index, node in enumerate(body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.name == name:
            return ast.get_docstring(node) is not None
        if name in _assigned(node):
            return index + 1 < len(body) and _is_text(body[index + 1])
    sources = [
        (by_name.get(resolve_relative(module, imported)), alias.name)
        for imported in ast.walk(module.tree)
        if isinstance(imported, ast.ImportFrom)
        for alias in imported.names
        if (alias.asname or alias.name) == name
    ]
    return any(_is_documented(origin, other, by_name) for origin, other in sources if origin and origin is not module)


def _assigned(node: ast.stmt) -> set[str]:
    """Collect the names that a statement assigns."""
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    return {node.target.id} if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else set()


def _is_text(node: ast.stmt) -> bool:
    """Check whether a statement is only a string."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
