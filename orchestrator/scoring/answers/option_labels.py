"""The options of a multiple-choice task: the labels that an answer may name them by, and their texts."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count

LETTERS = string.ascii_uppercase
USUAL = 10
"""The options that a task may have where their number is not known."""
_APART = "*_`$\\{}\"'“”‘’.,;:!()[]"
_ASCII_APART = "".join(" " if chr(code) in _APART else chr(code) for code in range(128))


@dataclass(frozen=True, slots=True)
class OptionLabels:
    """How an answer may name the options."""

    size: int = USUAL
    """The number of options; the letters from A name them in order."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """From the task's own labels, such as digits, to letters."""
    texts: Sequence[str] = ()
    """The texts of the options in order; empty where they are not known."""

    @property
    def has_numbers(self) -> bool:
        """Whether a number names an option."""
        return any(label.isdigit() for label in self.labels)

    @property
    def has_blank(self) -> bool:
        """Whether the text of an option has nothing but punctuation."""
        return not all(option for _, option in self._folded())

    def letter(self, label: str) -> str | None:
        """Return the letter of a label; None where it names no option."""
        own = self.labels.get(label.upper()) if self.labels else None
        if own is not None or label.isdigit() or any(name.isalpha() for name in self.labels):
            return own
        letter = label.upper()
        return letter if letter in LETTERS[: self.size] else None

    def text_of(self, letter: str) -> str:
        """Return the text of an option."""
        return self.texts[LETTERS.index(letter)]

    def with_text(self, text: str) -> str | None:
        """Return the letter of the option that has exactly this text, without differences in case, spaces and punctuation."""
        wanted = folded(text)
        found = [letter for letter, option in self._folded() if option == wanted]
        return found[0] if len(found) == 1 else None

    def beginning(self, text: str) -> str | None:
        """Return the letter of the longest option that `text` begins with."""
        given = f"{folded(text)} "
        fits = [(len(option), letter) for letter, option in self._folded() if option and given.startswith(f"{option} ")]
        return max(fits)[1] if fits else None

    def are_mentioned(self, text: str) -> bool:
        """Return whether the text of any option stands in `text`, also behind a word without a space, as emphasis leaves it."""
        given = f" {folded(text)} " if self.texts else ""
        return any(option and f"{option} " in given for _, option in self._folded())

    def mentioned(self, text: str) -> str | None:
        """Return the letter of the only option whose text stands in `text`; options that are part of a longer one do not count."""
        given = f" {folded(text)} "
        found = [(letter, option) for letter, option in self._folded() if option and f" {option} " in given]
        own = [letter for letter, option in found if not any(option != other and option in other for _, other in found)]
        return own[0] if len(own) == 1 else None

    def _folded(self) -> list[tuple[str, str]]:
        return [(letter, _folded_option(option)) for letter, option in zip(LETTERS, self.texts, strict=False)]


def numbered(first: int, size: int) -> Mapping[str, str]:
    """Return the letters of labels that count from `first`."""
    return dict(zip(map(str, count(first)), LETTERS[:size], strict=False))


def folded(text: str) -> str:
    """Return a text without differences in case, spaces, punctuation and emphasis."""
    if text.isascii():
        text = text.translate(_ASCII_APART)
    else:
        for character in _APART:
            text = text.replace(character, " ")
    return " ".join(text.split()).casefold()


_folded_option = lru_cache(maxsize=4_096)(folded)
"""Cached, because the options of a task are compared with the answers of every model and prompt type."""
