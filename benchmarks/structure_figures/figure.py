"""One figure: its name, its package, its value, and the items that it counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WHOLE = "all"
"""The four packages together."""


@dataclass(frozen=True, slots=True)
class TreeFigure:
    """One figure of the source tree."""

    name: str
    package: str
    value: float
    items: Sequence[str] = ()
    """Descriptions of the counted items; may be empty."""


def count(name: str, package: str, items: Sequence[str]) -> TreeFigure:
    """Count the items and keep them."""
    return TreeFigure(name, package, len(items), items)
