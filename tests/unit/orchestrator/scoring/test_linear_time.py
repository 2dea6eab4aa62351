"""No text of a model takes a scorer long: on most of these texts a pattern that backtracks in two loops would take hours."""

from __future__ import annotations

from typing import cast

import pytest

from orchestrator.scoring.answers.option_labels import OptionLabels
from orchestrator.scoring.answers.stated_choice import stated_choice
from orchestrator.scoring.choice import choice
from orchestrator.scoring.overlap import exact_any, f1
from orchestrator.scoring.schema import json_schema, read_json
from orchestrator.scoring.text import exact, includes, numeric
from providers.messages import JSON
from runners.calls.client import ModelClient
from runners.samples.answer import Answer
from sharding.plan import Cell, Sample
from sharding.tasks.task import Task

SAMPLE = Sample(0, "s", Task("t", []), Cell("m", "baseline", 1.0), 0, 0)

CHOICE = Task("t", (), "J", columns={"choices": ["one", "two", "three"] * 4})
LETTERED = OptionLabels()
LENGTH = 100_000
HOSTILE = {
    "blank lines": "\n" * LENGTH,
    "digits": "1" * LENGTH,
    "commas": "1," * (LENGTH // 2),
    "brackets": "[" * LENGTH,
    "backslashes": "\\" * LENGTH,
    "single letters": "A " * (LENGTH // 2),
    "unicode": "\u0130\u017f答①" * (LENGTH // 4),
    "minus signs": "-" * LENGTH,
    "blank after answer": "the answer is" + "\n" * LENGTH + "x",
    "blank after a Chinese marker": "答案" + " " * LENGTH + "x",
    "blank in a box": r"\boxed{" + " " * LENGTH + "x",
    "blank after a choice": "answer: B" + " " * LENGTH + "x",
    "blank in a fence": "```json" + "\n" * LENGTH,
    "fences": "```\n" * (LENGTH // 4),
    "fractions": r"\frac{1}{" * (LENGTH // 9),
    "boxes": r"\boxed{" * (LENGTH // 7),
    "statements": "the answer is " * (LENGTH // 14),
    "Chinese markers": "答案" * (LENGTH // 2),
    "selections": "it is " * (LENGTH // 6),
    "denials": "not A, " * (LENGTH // 7),
    "corrections": "wait, actually, it is " * (LENGTH // 22),
    "equals": "1 = " * (LENGTH // 4),
    "references": "step 3 " * (LENGTH // 7),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_every_comparison_ends_on_hostile_text(text: str) -> None:
    assert exact(text, "no such text").grade == "failed"
    assert includes(text, "no such text").grade == "failed"
    assert numeric(text, 42).grade == "failed"
    assert choice(text, CHOICE).grade == "failed"
    assert f1(text, "no such text").grade == "failed"
    assert exact_any(text, "no such text").grade == "failed"
    read_json(text)


@pytest.mark.parametrize("blank", [1, 2, 50_000])
def test_blank_text_of_any_length_changes_no_choice(blank: int) -> None:
    gap = " \n" * blank
    assert stated_choice(f"The answer is{gap}:{gap}(B)", LETTERED) == ("B", "B", False)
    assert stated_choice(rf"\boxed{{{gap}\text{{{gap}(C){gap}}}", LETTERED) == ("C", "C", False)
    assert stated_choice(f"答案{gap}是{gap}D", LETTERED) == ("D", "D", False)
    assert stated_choice(f"Answer: A{gap}or{gap}B", LETTERED) is None


async def test_an_answer_that_nests_deeper_than_a_recursive_schema_can_follow_is_wrong() -> None:
    schema: dict[str, JSON] = {"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}}}}
    answer = Answer("[" * 1_000 + "]" * 1_000)
    score = await json_schema(schema)(SAMPLE, answer, cast(ModelClient, None))
    assert (score.grade, score.error_class) == ("failed", "schema")
