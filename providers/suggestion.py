"""The second half of every "unknown name" message: the most similar known name, and the list of known names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LISTED = 20
"""Most names that a message lists; the rest is given as a number."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `did you mean "x"? Known: x, y, z`, without the question where no name is similar."""
    names = sorted(set(known))
    close = get_close_matches(name, names, n=1)
    question = f'did you mean "{close[0]}"? ' if close else ""
    listed = ", ".join(names[:LISTED]) or "none"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{question}Known: {listed}{more}"
