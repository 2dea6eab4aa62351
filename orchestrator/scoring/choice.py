"""Multiple choice: finds the letter that an answer chooses, in any of the usual forms.

Repetitions of white space are possessive (`*+`): a long blank passage is passed once, not in every possible division.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from providers.messages import JSON
from runners.samples.answer import Score

from .text import FULL, NO_ANSWER, WRONG, targets

LETTERS = "ABCDEFGHIJ"

_OPEN, _ENDS = r"[\s*_(\[（「\"'`]*+", r"(?![A-Za-z'’])"
_LETTER = rf"(?:([A-J]){_ENDS}|([a-j])(?=[)\].*:,]|\s*$))"
"""A capital letter alone; a lower-case one only where it cannot be a word, as in "the answer is a number"."""
_NO_PRONOUN = r"(?!I\s+[a-z])"
_SAID = (
    re.compile(r"\\boxed\{\s*+(?:\\text\{\s*+)?\(?([A-Ja-j])\)?\s*+\}"),
    re.compile(
        rf"(?i:\b(?:answer|choice|option)(?:\s++(?:is|would\s++be|must\s++be))?+\s*+[:：=-]?+\s*+(?:(?:option|choice)\s++)?+)"
        rf"{_OPEN}{_NO_PRONOUN}{_LETTER}",
        re.MULTILINE,
    ),
    re.compile(rf"(?:答案|应选|选择|选项|选)\s*+(?:应?该?是|应?为|[:：])?+{_OPEN}([A-J]){_ENDS}"),
)
"""Patterns in order of precedence; the last match of a pattern counts."""
_BARE = re.compile(r"^\W*([A-Ja-j])\W*$")
_STANDING = re.compile(
    r"\(([A-J])\)|\*\*\(?([A-J])\)?[.:]?\*\*|(?<![\w'’])([A-J])(?=[).:、])|(?<![\w'’])([B-HJ])(?![\w'’])"
)
"""Single letters that are not words: A and I count only with a bracket, a stop or emphasis."""
_HEDGE = re.compile(rf"\s*+[)\]*）]*+\s*+(?:or|and|/|或|和){_OPEN}([A-J]){_ENDS}")


def choice(text: str, target: JSON) -> Score:
    """Compare the chosen letter with the target's. A whole number as target counts from 0: 0 is A."""
    letter = chosen_letter(text)
    if letter is None:
        return NO_ANSWER
    return FULL if letter in _wanted(target) else WRONG


def chosen_letter(text: str) -> str | None:
    """Find the letter in "The answer is (B).", "\\boxed{B}", "答案：B", "B" or "B. Paris"; None without exactly one."""
    bare = _BARE.match(text)
    if bare:
        return bare.group(1).upper()
    for pattern in _SAID:
        *_, last = [None, *pattern.finditer(text)]
        if last is not None:
            hedge = _HEDGE.match(text, last.end())
            letter = _letter(last)
            return letter if hedge is None or hedge.group(1) == letter else None
    standing = {_letter(match) for match in _STANDING.finditer(text)}
    return standing.pop() if len(standing) == 1 else None


def _letter(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group).upper()


def _wanted(target: JSON) -> Iterable[str]:
    if isinstance(target, int) and not isinstance(target, bool):
        return LETTERS[target : target + 1] if target >= 0 else ""
    return {re.sub(r"[^A-J]", "", answer.upper()) for answer in targets(target)}
