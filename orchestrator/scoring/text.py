"""Scorers that compare text with the task's target: exact, includes, regex, numeric."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal

from providers.messages import JSON
from runners.calls.client import ModelClient
from runners.samples.answer import Answer, Score, Scorer
from sharding.plan import Sample

FULL = Score(1.0, "full")
WRONG = Score(0.0, "failed", "wrong_answer")
NO_ANSWER = Score(0.0, "failed", "format")
"""The score of an answer whose form does not allow a comparison."""

_DIGITS = r"(?:\d{1,3}(?:[,'\u00a0\u202f]\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<!\d)\.\d+"
_SIGN = r"[-+\u2212]"
_NUMBER = re.compile(
    rf"(?:(?<![\w)\]]){_SIGN}?[$€£¥]?{_SIGN}?)?(?:{_DIGITS})(?:[eE][-+]?\d+)?(?:/\d+(?![\d/]))?(?:\s?%)?"
)
"""A minus between two numbers is not a sign; a comma is part of a number only before three digits."""
_FRACTION = re.compile(r"\\d?frac\{(\d+)\}\{(\d+)\}")
_MARKER = re.compile(r"(?:####|\banswer\b\s*(?:is|:|=)?)", re.IGNORECASE)


def exact(text: str, target: JSON) -> Score:
    """Compare the answer with the target, without differences in white space and case."""
    return FULL if any(_folded(text) == _folded(accepted) for accepted in targets(target)) else WRONG


def includes(text: str, target: JSON) -> Score:
    """Search the target in the answer, without differences in white space and case."""
    folded = _folded(text)
    return FULL if any(_folded(accepted) in folded for accepted in targets(target)) else WRONG


def numeric(text: str, target: JSON, tolerance: Decimal = Decimal(0)) -> Score:
    """Compare the answer's number with the target's: the first after the last "####" or "answer", else the last one in the text.

    `tolerance` is absolute. Where one of the two is written as a percentage, 45 % equals 45 and 0.45.
    """
    number = _number_token(text)
    if number is None:
        return NO_ANSWER
    wanted = [token for accepted in targets(target) if (token := _number_token(accepted))]
    return FULL if any(_is_same(number, token, tolerance) for token in wanted) else WRONG


def regex(pattern: str) -> Callable[[str, JSON], Score]:
    """Build a comparison of the first group (or the whole) of the last match with the target."""
    compiled = re.compile(pattern, re.MULTILINE)

    def compare(text: str, target: JSON) -> Score:
        matches = [match.group(1 if compiled.groups else 0) or "" for match in compiled.finditer(text)]
        return exact(matches[-1], target) if matches else NO_ANSWER

    return compare


def scorer(compare: Callable[[str, JSON], Score]) -> Scorer:
    """Build a scorer from a comparison of text and target."""

    async def score(sample: Sample, answer: Answer, model: ModelClient) -> Score:  # noqa: ARG001 - needs no model
        return compare(answer.text, sample.task.target)

    return score


def targets(target: JSON) -> Sequence[str]:
    """Return every accepted answer as text: a list holds alternatives; without a target no answer is accepted."""
    if isinstance(target, Sequence) and not isinstance(target, str):
        return [str(alternative) for alternative in target]
    return [] if target is None else [str(target)]


def _number_token(text: str) -> str | None:
    """Find the number that a text ends in: GSM8K's "#### 1,200", "The answer is $12.50.", 3/4, or the last one written."""
    text = _FRACTION.sub(r"\1/\2", text)
    marked = [match.end() for match in _MARKER.finditer(text)]
    if marked and (number := _NUMBER.search(text, marked[-1])):
        return number.group()
    return next((token for token in reversed(_NUMBER.findall(text)) if _decimal(token) is not None), None)


def _is_same(number: str, wanted: str, tolerance: Decimal) -> bool:
    a, b = _decimal(number), _decimal(wanted)
    if a is None or b is None:
        return False
    pairs = [(a, b)]
    if number.endswith("%") != wanted.endswith("%"):
        pairs.append((a / 100, b) if number.endswith("%") else (a, b / 100))
    return any(_is_close(*pair, tolerance) for pair in pairs)


def _decimal(token: str) -> Decimal | None:
    plain = re.sub(r"[$€£¥,'%\s]", "", token).replace("\u2212", "-")
    numerator, _, denominator = plain.partition("/")
    try:
        return Decimal(numerator) / Decimal(denominator) if denominator else Decimal(numerator)
    except ArithmeticError:
        return None


def _is_close(a: Decimal, b: Decimal, tolerance: Decimal) -> bool:
    try:
        return abs(a - b) <= max(tolerance, Decimal("1e-6"), Decimal("1e-9") * abs(b))
    except ArithmeticError:  # a model may write 1e9999999
        return a == b


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
