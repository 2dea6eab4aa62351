"""Scorers that compare text with the task's target: exact, includes. `numeric` compares the numbers of `numbers.py`.

Invariant: the time of every comparison is linear in the length of the answer, whatever a model wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from providers.messages import JSON
from runners.calls.client import ModelClient
from runners.samples.answer import Answer, Score, Scorer
from sharding.plan import Sample

from .numbers import decimal, number_token

FULL = Score(1.0, "full")
WRONG = Score(0.0, "failed", "wrong_answer")
NO_ANSWER = Score(0.0, "failed", "format")
"""The score of an answer whose form does not allow a comparison."""
LONG_TEXT = 2_000
"""Characters of an answer above which its end is searched first, where most answers have their result."""


def exact(text: str, target: JSON) -> Score:
    """Compare the answer with the target, without differences in white space and case."""
    folded = _folded(text)
    return FULL if any(folded == _folded(accepted) for accepted in targets(target)) else WRONG


def includes(text: str, target: JSON) -> Score:
    """Search the target in the answer, without differences in white space and case. Of a long answer the end is searched first."""
    if len(text) > LONG_TEXT and includes(text[-LONG_TEXT:], target) is FULL:
        return FULL
    cased, folded = text.casefold(), None
    for accepted in targets(target):
        wanted = _folded(accepted)
        if wanted in cased:
            return FULL
        if " " in wanted and all(
            word in cased for word in wanted.split()
        ):  # white space matters only between two words
            folded = " ".join(cased.split()) if folded is None else folded
            if wanted in folded:
                return FULL
    return WRONG


def numeric(text: str, target: JSON, tolerance: Decimal = Decimal(0)) -> Score:
    """Compare the answer's number with the target's: the first after the last "####" or "answer", else the last one in the text.

    `tolerance` is absolute. Where one of the two is written as a percentage, 45 % equals 45 and 0.45.
    """
    number = number_token(text)
    if number is None:
        return NO_ANSWER
    wanted = [token for accepted in targets(target) if (token := number_token(accepted))]
    return FULL if any(_is_same(number, token, tolerance) for token in wanted) else WRONG


def scorer(compare: Callable[[str, JSON], Score]) -> Scorer:
    """Build a scorer from a comparison of text and target."""

    async def score(sample: Sample, answer: Answer, model: ModelClient) -> Score:  # noqa: ARG001 - needs no model
        return compare(answer.text, sample.task.target)

    return score


def targets(target: JSON) -> Sequence[str]:
    """Return every accepted answer as text: a list holds alternatives; without a target no answer is accepted."""
    if target is None or isinstance(target, str):
        return [] if target is None else [target]
    return [str(alternative) for alternative in target] if isinstance(target, Sequence) else [str(target)]


def _is_same(number: str, wanted: str, tolerance: Decimal) -> bool:
    a, b = decimal(number), decimal(wanted)
    if a is None or b is None:
        return False
    pairs = [(a, b)]
    if number.endswith("%") != wanted.endswith("%"):
        pairs.append((a / 100, b) if number.endswith("%") else (a, b / 100))
    return any(_is_close(*pair, tolerance) for pair in pairs)


def _is_close(a: Decimal, b: Decimal, tolerance: Decimal) -> bool:
    try:
        return abs(a - b) <= max(tolerance, Decimal("1e-6"), Decimal("1e-9") * abs(b))
    except ArithmeticError:  # a model may write 1e9999999
        return a == b


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
