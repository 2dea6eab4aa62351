"""Measure the structure of the source packages: folders, names, import circles, docstrings, sizes, and the path of one sample.

`python -m benchmarks.structure [--root DIR] [--static] [--list TEXT] [--json FILE]`, from the folder of the repository. Everything except
the path of the sample is read from the source without importing it. `--list` prints the items that the figures whose name contains TEXT
have counted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.structure_figures.figure import WHOLE, TreeFigure
from benchmarks.structure_figures.imports import circle_figures
from benchmarks.structure_figures.names import any_figures, docstring_figures, duplicate_figure, export_figures
from benchmarks.structure_figures.sizes import folder_figures, size_figures
from benchmarks.structure_figures.source import PACKAGES, Module, read_modules
from benchmarks.structure_figures.verbs import verb_figures
from benchmarks.structure_figures.walk import ENDS, STARTS, walk_figures

ROOT = Path(__file__).resolve().parents[1]


def source_figures(root: Path) -> list[TreeFigure]:
    """Measure the source below `root`, package by package and as a whole."""
    modules = read_modules(root)
    figures = [duplicate_figure(modules), *export_figures(modules)]
    for package in PACKAGES:
        own = [module for module in modules if module.package == package]
        figures += [*folder_figures(root, package), *circle_figures(package, own), *_counted(package, own)]
    return [*figures, *_counted(WHOLE, modules)]


def rows(figures: Sequence[TreeFigure]) -> list[dict[str, str | float]]:
    """Flatten the figures: one row each, without the counted items."""
    return [{"figure": figure.name, "package": figure.package, "value": figure.value} for figure in figures]


def table(figures: Sequence[TreeFigure]) -> str:
    """Format the figures with one column per package and one for all."""
    columns = (*PACKAGES, WHOLE)
    values = {(figure.name, figure.package): f"{figure.value:,g}" for figure in figures}
    names = list(dict.fromkeys(figure.name for figure in figures))
    width = max(len(name) for name in names)
    lines = [" " * width + "".join(f"{column:>14}" for column in columns)]
    lines += [
        f"{name:{width}}" + "".join(f"{values.get((name, column), ''):>14}" for column in columns) for name in names
    ]
    return "\n".join(lines)


def listing(figures: Sequence[TreeFigure], text: str) -> str:
    """Format the counted items of each figure whose name contains `text`; items of a package are not repeated for all packages."""
    by_package = {figure.name for figure in figures if figure.package != WHOLE}
    named = [figure for figure in figures if text in figure.name and figure.items]
    chosen = [figure for figure in named if figure.package != WHOLE or figure.name not in by_package]
    return "\n".join(line for figure in chosen for line in (f"\n{figure.package}: {figure.name}", *figure.items))


def _counted(package: str, modules: Sequence[Module]) -> Iterator[TreeFigure]:
    """Measure the figures that add up over packages."""
    yield from docstring_figures(package, modules)
    yield from verb_figures(package, modules)
    yield from any_figures(package, modules)
    yield from size_figures(package, modules)


def main() -> None:
    """Print the table and the requested lists."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, metavar="DIR", help="the tree to measure")
    parser.add_argument("--static", action="store_true", help="run no sample")
    parser.add_argument("--start", action="append", metavar="NAME", help="the function that reads a sample")
    parser.add_argument("--end", action="append", metavar="NAME", help="the function that sends its request")
    parser.add_argument("--list", metavar="TEXT", help='e.g. "verb", "climbs", "docstring"')
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    options = parser.parse_args()
    root: Path = options.root.resolve()
    figures = source_figures(root)
    if not options.static:
        sys.path.insert(0, str(root))
        figures += walk_figures(root, options.start or STARTS, options.end or ENDS)
    print(table(figures))
    if options.list is not None:
        print(listing(figures, options.list))
    if options.json:
        options.json.write_text(json.dumps(rows(figures), indent=2) + "\n")


if __name__ == "__main__":
    main()
