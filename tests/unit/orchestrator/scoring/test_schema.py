"""JSON out of answers, and whether it has its shape."""

from __future__ import annotations

from typing import cast

import pytest

from orchestrator.scoring.schema import json_schema
from runners.calls.client import ModelClient
from runners.samples.answer import Answer
from sharding.plan import Cell, Sample
from sharding.tasks.task import Task

SAMPLE = Sample(0, "s", Task("t", []), Cell("m", "baseline", 1.0), 0, 0)
SCHEMA = {
    "type": "object",
    "properties": {"n": {"$ref": "#/$defs/count"}},
    "required": ["n"],
    "$defs": {"count": {"type": "integer", "minimum": 0}},
}


@pytest.mark.parametrize(
    ("text", "grade", "error"),
    [
        ('{"n": 1}', "full", None),
        ('Here you are:\n```json\n{"n": 1}\n```\nDone.', "full", None),
        ('```\n{"n": -1}\n```\nNo:\n```\n{"n": 2}\n```', "full", None),
        ('{"n": -1}', "failed", "schema"),
        ("{}", "failed", "schema"),
        ("null", "failed", "schema"),
        ("It is one.", "failed", "format"),
        ('{"n": 1', "failed", "format"),
    ],
)
async def test_an_answer_is_valid_json_of_the_shape(text: str, grade: str, error: str | None) -> None:
    score = await json_schema(SCHEMA)(SAMPLE, Answer(text), cast(ModelClient, None))
    assert (score.grade, score.error_class) == (grade, error)


async def test_what_does_not_fit_is_named_with_its_place() -> None:
    score = await json_schema(SCHEMA)(SAMPLE, Answer('{"n": -1}'), cast(ModelClient, None))
    assert score.details == {"at": "$.n", "message": "-1 is less than the minimum of 0"}
