"""The second half of every "unknown name" message: the nearest known name, and what there is to choose from."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LISTED = 20
"""Names that a message lists before it says how many more there are."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Say `did you mean "x"? Known: x, y, z`, without the question where nothing is near."""
    names = sorted(set(known))
    close = get_close_matches(name, names, n=1)
    question = f'did you mean "{close[0]}"? ' if close else ""
    listed = ", ".join(names[:LISTED]) or "none"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{question}Known: {listed}{more}"
