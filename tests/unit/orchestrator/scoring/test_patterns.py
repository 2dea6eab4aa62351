"""A person's own patterns: what they find, and that they end."""

from __future__ import annotations

from typing import cast

import pytest

from orchestrator.scoring.patterns import regex
from orchestrator.scoring.schema import json_schema
from runners.calls.client import ModelClient
from runners.samples.answer import Answer, Score
from runners.user_code_error import UserCodeError
from sharding.plan import Cell, Sample
from sharding.tasks.task import Task

ENDLESS = r"(a|aa)+$"
TEXT = "a" * 60 + "!"


async def _scored(pattern: str, text: str, target: str) -> Score:
    sample = Sample(0, "s", Task("t", [], target=target), Cell("m", "baseline", 1.0), 0, 0)
    return await regex(pattern)(sample, Answer(text), cast(ModelClient, None))


@pytest.mark.parametrize(
    ("pattern", "text", "target", "grade", "error"),
    [
        (r"Answer: (\w)", "Answer: B", "b", "full", None),
        (r"Answer: (\w)", "Answer: A\nAnswer: B", "B", "full", None),
        (r"Answer: (\w)", "It is B", "B", "failed", "format"),
        (r"\d+", "12 or 13", "13", "full", None),
        (r"\d+", "12 or 13", "12", "failed", "wrong_answer"),
        (r"^(\w+)$", "first\nsecond", "second", "full", None),
        (r"x(y)?", "x", "", "full", None),
        (r"(a+)+$", "a" * 40 + "!", "a", "failed", "format"),
    ],
)
async def test_regex_compares_the_last_match(
    pattern: str, text: str, target: str, grade: str, error: str | None
) -> None:
    score = await _scored(pattern, text, target)
    assert (score.grade, score.error_class) == (grade, error)


async def test_a_pattern_without_end_is_the_persons_and_no_score() -> None:
    with pytest.raises(
        UserCodeError, match=r"pattern .*\(a\|aa\).* had not ended after 2 s of CPU on the answer to task t \(61 char"
    ):
        await _scored(ENDLESS, TEXT, "a")


@pytest.mark.parametrize("schema", [{"pattern": ENDLESS}, {"patternProperties": {ENDLESS: {}}}])
async def test_a_pattern_without_end_in_a_schema_too(schema: dict[str, object]) -> None:
    text = f'{{"{TEXT}": 1}}' if "patternProperties" in schema else f'"{TEXT}"'
    sample = Sample(0, "s", Task("t", []), Cell("m", "baseline", 1.0), 0, 0)
    with pytest.raises(UserCodeError, match="had not ended"):
        await json_schema(schema)(sample, Answer(text), cast(ModelClient, None))


@pytest.mark.parametrize(
    ("schema", "text", "grade"),
    [
        ({"pattern": "^a"}, '"ab"', "full"),
        ({"pattern": "^a"}, '"ba"', "failed"),
        ({"pattern": "^a"}, "7", "full"),
        ({"patternProperties": {"^n": {"type": "integer"}}}, '{"n1": "x"}', "failed"),
        ({"patternProperties": {"^n": {"type": "integer"}}}, '{"m1": "x", "n": 1}', "full"),
    ],
)
async def test_patterns_of_a_schema_mean_the_same(schema: dict[str, object], text: str, grade: str) -> None:
    sample = Sample(0, "s", Task("t", []), Cell("m", "baseline", 1.0), 0, 0)
    score = await json_schema(schema)(sample, Answer(text), cast(ModelClient, None))
    assert score.grade == grade
