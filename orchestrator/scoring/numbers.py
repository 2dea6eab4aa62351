"""Finds the number that an answer ends in. The search begins at the end of the text, and its time is linear in the length."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

_DIGITS = r"(?:\d{1,3}(?:[,'\u00a0\u202f]\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<!\d)\.\d+"
_SIGN = r"[-+\u2212]"
_PATTERN = rf"(?:(?<![\w)\]]){_SIGN}?[$€£¥]?{_SIGN}?)?(?:{_DIGITS})(?:[eE][-+]?\d+)?(?:/\d+(?![\d/]))?(?:\s?%)?"
"""A minus between two numbers is not a sign; a comma is part of a number only before three digits."""
_NUMBER = re.compile(_PATTERN)
_NUMBER_OR_OTHER = re.compile(rf"({_PATTERN})|[^-+\u2212$€£¥.\d]+|.", re.DOTALL)
"""A number as the group, or else text in which no number begins, which is skipped in one step."""
_DIGIT = re.compile(r"\d")
_BEFORE_DIGIT = 4
"""The most characters of a number before its first digit, as in -$-.5."""
_FRACTION = re.compile(r"\\d?frac\{(\d+)\}\{(\d+)\}")
_HASHES = "####"
_ANSWER = re.compile(r"\banswer\b\s*(?:is|:|=)?", re.IGNORECASE)
_FIRST_TAIL = 64
_PLAIN = str.maketrans({"\u2212": "-", **dict.fromkeys("$€£¥,'%")})


def number_token(text: str) -> str | None:
    """Find the number that a text ends in: GSM8K's "#### 1,200", "The answer is $12.50.", 3/4, or the last one written.

    The first number after the last "####" or "answer" takes precedence.
    """
    if "frac{" in text:
        text = _FRACTION.sub(r"\1/\2", text)
    marked = _last_marker_end(text)
    digit = None if marked is None else _DIGIT.search(text, marked)
    if marked is None or digit is None:
        return _last_number(text)
    number = _NUMBER.search(text, max(marked, digit.start() - _BEFORE_DIGIT))
    return number.group() if number else None


def decimal(token: str) -> Decimal | None:
    """Convert the text of a number; None where it has no value, as 1/0."""
    plain = "".join(token.translate(_PLAIN).split())
    numerator, _, denominator = plain.partition("/")
    try:
        return Decimal(numerator) / Decimal(denominator) if denominator else Decimal(numerator)
    except ArithmeticError:
        return None


def _last_marker_end(text: str) -> int | None:
    hashes = text.rfind(_HASHES)
    # as long as the text: `lower` makes two letters of \u0130, and `re.IGNORECASE` takes \u017f for an s
    lower = text.replace("\u0130", "i").replace("\u017f", "s").lower()
    start = lower.rfind("answer")
    while start > hashes:
        match = _ANSWER.match(text, start)
        if match:
            return match.end()
        start = lower.rfind("answer", 0, start)
    return None if hashes < 0 else hashes + len(_HASHES)


def _last_number(text: str) -> str | None:
    for tail in growing_tails(text):
        digit = _DIGIT.search(tail) if _may_have_digit(tail) else None
        tokens = _NUMBER_OR_OTHER.findall(tail, max(0, digit.start() - _BEFORE_DIGIT)) if digit else []
        for token in reversed(tokens):
            if token and decimal(token) is not None:
                return str(token)
    return None


def _may_have_digit(text: str) -> bool:
    return not text.isascii() or any(digit in text for digit in "0123456789")  # ten times faster than a pattern


def growing_tails(text: str) -> Iterator[str]:
    """Yield growing tails, each at least twice as long as the one before, and last the whole text.

    A tail starts after a space, where no number continues.
    """
    length = _FIRST_TAIL
    while length < len(text):
        start = text.rfind(" ", max(0, len(text) - 2 * length), len(text) - length)
        if start >= 0:
            yield text[start + 1 :]
        length *= 4 if start >= 0 else 2
    yield text
