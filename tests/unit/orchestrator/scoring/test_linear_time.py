"""No text of a model takes a scorer long: on most of these texts a pattern that backtracks in two loops would take hours."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import pytest

from orchestrator.scoring.choice import choice, chosen_letter
from orchestrator.scoring.numbers import growing_tails, number_token
from orchestrator.scoring.schema import json_schema, read_json
from orchestrator.scoring.text import exact, includes, numeric
from providers.messages import JSON
from runners.calls.client import ModelClient
from runners.samples.answer import Answer
from sharding.plan import Cell, Sample
from sharding.tasks.task import Task

SAMPLE = Sample(0, "s", Task("t", []), Cell("m", "baseline", 1.0), 0, 0)

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
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_every_comparison_ends_on_hostile_text(text: str) -> None:
    assert exact(text, "no such text").grade == "failed"
    assert includes(text, "no such text").grade == "failed"
    assert numeric(text, 42).grade == "failed"
    assert choice(text, "J").grade == "failed"
    read_json(text)


@pytest.mark.parametrize("blank", [1, 2, 50_000])
def test_blank_text_of_any_length_changes_no_choice(blank: int) -> None:
    gap = " \n" * blank
    assert chosen_letter(f"The answer is{gap}:{gap}(B)") == "B"
    assert chosen_letter(rf"\boxed{{{gap}\text{{{gap}(C){gap}}}") == "C"
    assert chosen_letter(f"答案{gap}是{gap}D") == "D"
    assert chosen_letter(f"Answer: A{gap}or{gap}B") is None


@pytest.mark.parametrize(
    "text", ["take 3 of the 5 apples " * 4_000, "word " * 20_000, "1" * LENGTH, "a b" + "1," * LENGTH]
)
def test_the_last_number_is_searched_in_tails_that_grow_so_that_all_together_are_linear(text: str) -> None:
    lengths = [len(tail) for tail in growing_tails(text)]
    assert lengths[-1] == len(text)
    assert sum(lengths[:-1]) <= 2 * len(text)
    assert all(2 * shorter <= longer for shorter, longer in pairwise(lengths[:-1]))


def test_the_first_tail_of_an_answer_in_words_is_short() -> None:
    assert len(next(iter(growing_tails("take 3 of the 5 apples " * 4_000)))) <= 128


@pytest.mark.parametrize("pad", range(0, 140, 3))
@pytest.mark.parametrize("number", ["-$1,234.5", "45 %", r"\frac{1}{3}", "12\u202f500"])
def test_the_start_of_a_tail_cuts_no_number(number: str, pad: int) -> None:
    alone = number_token(number)
    assert alone is not None
    assert number_token(f"7 of 9 {number} " + "and so on " * (pad // 10) + "x" * (pad % 10)) == alone


async def test_an_answer_that_nests_deeper_than_a_recursive_schema_can_follow_is_wrong() -> None:
    schema: dict[str, JSON] = {"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}}}}
    answer = Answer("[" * 1_000 + "]" * 1_000)
    score = await json_schema(schema)(SAMPLE, answer, cast(ModelClient, None))
    assert (score.grade, score.error_class) == ("failed", "schema")
