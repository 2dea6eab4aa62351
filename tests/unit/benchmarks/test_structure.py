"""The structure figures of a tiny tree, counted by hand."""

from __future__ import annotations

import ast
from pathlib import Path
from textwrap import dedent

import pytest

from benchmarks.structure import listing, rows, source_figures, table
from benchmarks.structure_figures.figure import WHOLE, TreeFigure
from benchmarks.structure_figures.sizes import nesting
from benchmarks.structure_figures.verbs import begins_with_verb
from benchmarks.structure_figures.walk import ObservedCall, end_points

Figures = dict[tuple[str, str], TreeFigure]
VERB = "function docstrings beginning with a verb, %"


def build(root: Path, **files: str) -> Figures:
    """Write a tree and measure it; `a__b` stands for a/b.py, and every folder gets its `__init__`."""
    for package in ("providers", "sharding", "runners", "orchestrator"):
        (root / package).mkdir(exist_ok=True)
        (root / package / "__init__.py").write_text('"""A package."""\n')
    for name, text in files.items():
        path = root.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(dedent(text))
    return {(figure.name, figure.package): figure for figure in source_figures(root)}


def test_a_class_name_counts_once_however_often_it_is_defined(tmp_path: Path) -> None:
    figures = build(
        tmp_path,
        providers__a="class Plan: ...\nclass Other: ...",
        runners__b="class _Plan: ...",
        sharding__c="class Plan: ...",
    )
    assert figures["class names defined more than once", WHOLE].items == ["Plan: providers.a sharding.c runners.b"]


def test_a_circle_of_modules_counts_where_its_imports_run(tmp_path: Path) -> None:
    types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .d import X\n"
    figures = build(
        tmp_path,
        runners__a="from .b import x",
        runners__b="from . import a",
        runners__c=types,
        runners__d="import runners.c",
        runners__e="def f():\n    from .f import x",
        runners__f="from .e import f",
    )
    assert figures["import circles of modules", "runners"].items == ["2: runners.a runners.b"]
    assert figures["import circles of modules, TYPE_CHECKING too", "runners"].value == 2
    assert figures["import circles of modules, in functions too", "runners"].value == 3


def test_subpackages_can_form_a_circle_that_no_modules_form(tmp_path: Path) -> None:
    figures = build(
        tmp_path,
        runners__one__a="from ..two.b import x",
        runners__two__b="x = 1",
        runners__two__c="from ..one.d import y",
        runners__one__d="y = 1",
        sharding__loose="from .inner.e import x",
        sharding__inner__e="from ..other import x",
        sharding__other="x = 1",
    )
    assert figures["import circles of modules", "runners"].value == 0
    assert figures["import circles of subpackages", "runners"].items == ["2: runners.one runners.two"]
    assert figures["import circles of subpackages", "sharding"].value == 0
    assert figures["import circles of folders", "sharding"].items == ["2: sharding sharding.inner"]


def test_public_names_without_docstring_are_counted_by_kind(tmp_path: Path) -> None:
    code = """
    class Shown:
        def said(self): "Say it."
        def silent(self): ...
        def _hidden(self): ...
        def __len__(self): ...
    class _Hidden:
        def silent(self): ...
    def silent():
        def inner(): ...
    """
    figures = build(tmp_path, providers__a=code)
    assert figures["public modules without docstring", "providers"].items == ["providers.a"]
    assert figures["public classes without docstring", "providers"].items == ["providers.a:Shown"]
    assert figures["public functions without docstring", "providers"].items == ["providers.a:silent"]
    assert figures["public methods without docstring", "providers"].items == ["providers.a:Shown.silent"]


def test_an_exported_name_is_looked_up_where_it_is_defined(tmp_path: Path) -> None:
    (tmp_path / "orchestrator").mkdir()
    init = """
    from runners.a import Said, Silent, Alias
    from .b import moved as renamed
    __all__ = ["Said", "Silent", "Alias", "renamed"]
    """
    said = 'class Said:\n    "Said."\nclass Silent: ...\nAlias = Said\n"""Said, too."""\n'
    build(tmp_path, runners__a=said, orchestrator__b="from .c import moved", orchestrator__c="def moved(): ...")
    (tmp_path / "orchestrator" / "__init__.py").write_text(dedent(init))
    figures = {(figure.name, figure.package): figure for figure in source_figures(tmp_path)}
    assert figures["exported names", "orchestrator"].value == 4
    assert figures["exported names without docstring", "orchestrator"].items == ["Silent", "renamed"]


@pytest.mark.parametrize(
    "text",
    [
        "Read a file.", "Read, check and write a file.",
        "Name the instances.", "Process one row.", "Say that it is.", "Embed it.", "Do nothing.",
    ],
)  # fmt: skip
def test_an_imperative_begins_with_a_verb(text: str) -> None:
    assert begins_with_verb(text)


@pytest.mark.parametrize(
    "text",
    [
        "The rows.", "Rows of a file.", "Reads a file.", "Reading a file.", "What it reads.", "Share of rows.", "Instance that answers.",
        "Name, or none.", "Sleep, and then more.", "JSON of a row.", "`rows` without names.", "Of each row.", "Answer or none.", "",
    ],
)  # fmt: skip
def test_a_noun_a_question_or_a_third_person_is_no_imperative(text: str) -> None:
    assert not begins_with_verb(text)


def test_properties_do_not_count_among_the_verbs(tmp_path: Path) -> None:
    code = """
    class A:
        @property
        def size(self): "The size."
        def grow(self): "Grow."
        def rows(self): "Rows."
        def silent(self): ...
    """
    figures = build(tmp_path, sharding__a=code)
    assert figures[VERB, "sharding"].value == 50
    assert figures[VERB, "sharding"].items == ["sharding.a:A.rows: Rows."]
    assert figures["functions with docstring, %", "sharding"].value == 75


def test_any_counts_in_public_signatures_alone(tmp_path: Path) -> None:
    code = """
    def shown(x: dict[str, Any]) -> None: ...
    def _hidden(x: Any) -> Any: ...
    class A:
        field: list[Any]
        _own: Any
        def method(self, *rest: typing.Any) -> None: ...
    """
    figures = build(tmp_path, runners__a=code)
    assert figures["public functions with Any", "runners"].items == ["runners.a:shown", "runners.a:A.method"]
    assert figures["public fields with Any", "runners"].items == ["runners.a:A.field"]


def test_sizes_are_counted(tmp_path: Path) -> None:
    at_most, over = ("\n".join([f"def f{n}(a, b, c, d, e):", *["    a"] * (n - 1)]) for n in (40, 41))
    figures = build(
        tmp_path,
        runners__a=at_most,
        runners__b=over,
        runners__c="\n" * 301,
        runners__d="def f(self, a, b, c, d, *e, g): ...",
    )
    assert figures["functions over 40 lines", "runners"].items == ["runners.b:f41: 41"]
    assert figures["functions over 5 parameters", "runners"].items == ["runners.d:f: 6"]
    assert figures["files over 300 lines", "runners"].items == ["runners.c: 301"]
    assert figures["lines", WHOLE].value == 40 + 41 + 301 + 1 + 4


def test_a_folder_over_14_entries_is_named_and_caches_are_none(tmp_path: Path) -> None:
    (tmp_path / "runners" / "__pycache__").mkdir(parents=True)
    figures = build(tmp_path, **{f"runners__m{n}": "" for n in range(13)})
    assert (
        figures["entries in the largest folder", "runners"].value,
        figures["folders over 14 entries", "runners"].value,
    ) == (14, 0)
    figures = build(tmp_path, runners__sub__a="")
    assert figures["folders over 14 entries", "runners"].items == ["runners: 15"]


@pytest.mark.parametrize(
    ("code", "depth"),
    [
        ("x", 0),
        ("if x:\n  pass\nelif y:\n  pass\nelse:\n  pass", 1),
        ("for x in y:\n  try:\n    pass\n  except E:\n    with z: pass", 3),
        ("if x:\n  pass\nelse:\n  if y: pass\n  z", 2),
        ("while x:\n  def f():\n    if y: pass", 1),
    ],
)
def test_nesting_counts_blocks_inside_each_other(code: str, depth: int) -> None:
    assert nesting(ast.parse(code)) == depth


def calls_of(*names: str) -> list[ObservedCall]:
    """Make calls of functions with these qualified names."""
    code = (lambda: None).__code__
    return [ObservedCall(code.replace(co_name=name.rpartition(".")[2], co_qualname=name), None) for name in names]


def test_the_way_goes_from_the_last_reading_to_the_first_send() -> None:
    calls = calls_of("Plan.sample", "f", "Plan.sample", "g", "Wire.send", "Plan.sample", "Wire.send")
    assert end_points(calls, ["SweepPlan.sample", "Plan.sample"], ["NativeTransport.send", "send"]) == (2, 4)
    with pytest.raises(LookupError, match=r"none of read was called"):
        end_points(calls, ["read"], ["send"])
    with pytest.raises(LookupError, match=r"none of post was called"):
        end_points(calls, ["sample"], ["post"])


def test_rows_are_flat_and_the_table_has_a_column_per_package() -> None:
    figures = [TreeFigure("lines", "runners", 1200), TreeFigure("climbs", WHOLE, 1, ["a calls b"])]
    assert rows(figures)[0] == {"figure": "lines", "package": "runners", "value": 1200}
    assert "1,200" in table(figures).splitlines()[1]
    assert listing(figures, "climb") == "\nall: climbs\na calls b"
