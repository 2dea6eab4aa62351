"""One figure: its name, the package that it is about, its value, and what it counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WHOLE = "all"
"""Stands for the four packages together."""


@dataclass(frozen=True, slots=True)
class TreeFigure:
    name: str
    package: str
    value: float
    items: Sequence[str] = ()
    """What was counted, in words for people; may be empty."""


def count(name: str, package: str, items: Sequence[str]) -> TreeFigure:
    """Count the items and keep them."""
    return TreeFigure(name, package, len(items), items)
