"""Scorers that compare text with the task's target: exact, includes, numeric.

Invariant: the time of every comparison is linear in the length of the answer, whatever a model wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache

from providers.messages import JSON
from runners.calls.client import ModelClient
from runners.samples.answer import UNGRADED, Answer, Score, Scorer
from sharding.plan import Sample

from .answers.numerals import Numeral
from .answers.stated_number import stated_number
from .targets.accepted import accepted_texts

FULL = Score(1.0, "full")
WRONG = Score(0.0, "failed", "wrong_answer")
NO_ANSWER = Score(0.0, "failed", "format")
"""The score of an answer whose form does not allow a comparison."""
LONG_TEXT = 2_000
"""Characters of an answer above which its end is searched first, where most answers have their result."""


def exact(text: str, target: JSON) -> Score:
    """Compare the answer with the target, without differences in white space and case."""
    accepted = [_folded(one) for one in accepted_texts(target)]
    longest = max((one.count(" ") + 1 for one in accepted), default=0)
    folded = " ".join(text.split(None, longest)).casefold()  # a text of more words is none of them
    if folded in accepted:
        return FULL
    return (
        FULL
        if any(one.endswith(".0") and folded == one[:-2] and folded.lstrip("-").isdigit() for one in accepted)
        else WRONG
    )


def includes(text: str, target: JSON) -> Score:
    """Search the target in the answer, without differences in white space and case. Of a long answer the end is searched first."""
    if len(text) > LONG_TEXT and includes(text[-LONG_TEXT:], target) is FULL:
        return FULL
    cased, folded = text.casefold(), None
    for accepted in accepted_texts(target):
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
    """Compare the number that the answer states (`answers/stated_number.py`) with the target's.

    `tolerance` is absolute. Where one of the two is written as a percentage, 45 % equals 45 and 0.45.
    """
    number = stated_number(text)
    if number is None or number.value is None:
        return NO_ANSWER
    wanted = (_target_number(accepted) for accepted in accepted_texts(target))
    return FULL if any(other and _is_same(number, other, tolerance) for other in wanted) else WRONG


def scorer(compare: Callable[[str, JSON], Score]) -> Scorer:
    """Build a scorer from a comparison of text and target."""

    async def score(sample: Sample, answer: Answer, model: ModelClient) -> Score:  # noqa: ARG001 - needs no model
        target = sample.task.target
        if target is None or target != target:
            return UNGRADED
        return compare(answer.text, target)

    return score


_target_number = lru_cache(maxsize=4_096)(stated_number)
"""Cached, because a target is compared with the answers of every model and prompt type."""


def _is_same(number: Numeral, wanted: Numeral, tolerance: Decimal) -> bool:
    a, b = number.value, wanted.value
    if a is None or b is None:
        return False
    if _is_close(a, b, tolerance):
        return True
    if number.is_percent == wanted.is_percent:
        return False
    return _is_close(a / 100, b, tolerance) if number.is_percent else _is_close(a, b / 100, tolerance)


def _is_close(a: Decimal, b: Decimal, tolerance: Decimal) -> bool:
    try:
        return abs(a - b) <= max(tolerance, Decimal("1e-6"), Decimal("1e-9") * abs(b))
    except ArithmeticError:  # a model may write 1e9999999
        return a == b


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
