"""Whether a prompt numbers the options of multiple choice, so that a number in an answer is a position."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from providers.messages import Message

from ..answers.option_labels import folded

_NUMBERED_LINE = re.compile(r"^\W{0,3}(\d{1,2})[.):\]]\s", re.MULTILINE)
_LETTERED = re.compile(r"(?:^|\s)\W{0,3}A[.):\]]\s")
"""Options with letters: numbered lines beside them are something else."""
_FIRST = (1, 0)
"""What lists of options count from."""


def first_shown_number(messages: Sequence[Message], texts: Sequence[str]) -> int | None:
    """Return the number that stands before the first option in the messages; None where the options are not numbered."""
    return _first_number("\n".join(map(_text, messages)), tuple(texts))


def _text(message: Message) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


@lru_cache(maxsize=256)
def _first_number(prompt: str, texts: Sequence[str]) -> int | None:
    if not texts:
        numbers = (
            {int(match.group(1)) for match in _NUMBERED_LINE.finditer(prompt)} if not _LETTERED.search(prompt) else ()
        )
        return next(
            (first for first in _FIRST if {first, first + 1} <= set(numbers) and first - 1 not in numbers), None
        )
    given = f" {_plain(prompt)} "
    lists = {
        first: " ".join(f"{number} {_plain(text)}" for number, text in enumerate(texts, first)) for first in _FIRST
    }
    return next((first for first, listed in lists.items() if f" {listed} " in given), None)


def _plain(text: str) -> str:
    return folded(text.replace("-", " "))
