"""Scorers that compare text with the task's target: exact, includes, regex, numeric."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation

from providers.messages import JSON
from runners.answer import Answer, Score, Scorer
from runners.client import ModelClient
from sharding.plan import Sample

FULL = Score(1.0, "full")
WRONG = Score(0.0, "failed", "wrong_answer")
NO_ANSWER = Score(0.0, "failed", "format")
"""The answer is not in a form that can be compared."""

_NUMBER = re.compile(r"[-+]?\$?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?%?")
_MARKER = re.compile(r"(?:####|\banswer\b\s*(?:is|:|=)?)", re.IGNORECASE)


def exact(text: str, target: JSON) -> Score:
    """Equal after trimming and folding white space and case."""
    return FULL if any(_folded(text) == _folded(one) for one in targets(target)) else WRONG


def includes(text: str, target: JSON) -> Score:
    """The target stands somewhere in the answer, white space and case folded."""
    folded = _folded(text)
    return FULL if any(_folded(one) in folded for one in targets(target)) else WRONG


def numeric(text: str, target: JSON) -> Score:
    """The answer's number equals the target's: the first after the last "####" or "answer", else the last one in the text."""
    said = last_number(text)
    if said is None:
        return NO_ANSWER
    wanted = [last_number(one) for one in targets(target)]
    return FULL if any(one is not None and _is_close(said, one) for one in wanted) else WRONG


def regex(pattern: str) -> Callable[[str, JSON], Score]:
    """The first group (or the whole match) of the last match equals the target."""
    compiled = re.compile(pattern, re.MULTILINE)

    def compare(text: str, target: JSON) -> Score:
        found = [match.group(1 if compiled.groups else 0) or "" for match in compiled.finditer(text)]
        return exact(found[-1], target) if found else NO_ANSWER

    return compare


def scorer(compare: Callable[[str, JSON], Score]) -> Scorer:
    """A Scorer from a comparison of text and target."""

    async def score(sample: Sample, answer: Answer, model: ModelClient) -> Score:  # noqa: ARG001 - needs no model
        return compare(answer.text, sample.task.target)

    return score


def targets(target: JSON) -> Sequence[str]:
    """Every accepted answer as text: a list holds alternatives; without a target there is none, and nothing is right."""
    if isinstance(target, Sequence) and not isinstance(target, str):
        return [str(one) for one in target]
    return [] if target is None else [str(target)]


def last_number(text: str) -> Decimal | None:
    """The number that a text ends in: GSM8K's "#### 1,200", "The answer is $12.50.", or the last one written."""
    marked = [match.end() for match in _MARKER.finditer(text)]
    if marked and (found := _NUMBER.search(text, marked[-1])):
        return _decimal(found.group())
    numbers = map(_decimal, reversed(_NUMBER.findall(text)))
    return next((number for number in numbers if number is not None), None)


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(re.sub(r"[$,%]", "", text))
    except InvalidOperation:
        return None


def _is_close(a: Decimal, b: Decimal) -> bool:
    try:
        return abs(a - b) <= max(Decimal("1e-6"), Decimal("1e-9") * abs(b))
    except ArithmeticError:  # a model may say 1e9999999
        return a == b


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
