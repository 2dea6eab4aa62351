"""The examples of docs/grading.md, executed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import cast

import pytest
import yaml

import orchestrator as orch
from orchestrator.config.settings import RunConfig, ScoringConfig, TaskFileConfig
from orchestrator.scoring.registry import SCORERS, build_scorer, spelt_out
from providers.messages import JSON, ToolCall
from runners.calls.client import ModelClient
from runners.samples.answer import Scorer, guard_scorer
from sharding.plan import Cell
from sharding.tasks.columns import DEFAULT_COLUMNS

TEXT = (Path(__file__).parents[2] / "docs" / "grading.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
EXAMPLES = re.findall(
    r"^\| `(.+?)` \| `(.+?)` \| `(.+?)` \| (full|failed|partial)(?: ([\d.]+))? \|$", TEXT, re.MULTILINE
)
ATTRIBUTES = {
    "sample": orch.Sample,
    "sample.cell": Cell,
    "sample.task": orch.Task,
    "answer": orch.Answer,
    "orch.Score": orch.Score,
    "response": orch.ChatResponse,
}


async def graded(scorer: Scorer, answer: orch.Answer, target: JSON = None, **columns: JSON) -> orch.Score:
    task = orch.Task("t", [], target, columns=columns)
    return await scorer(orch.Sample(0, "s", task, Cell("m", "baseline", 1.0), 0, 0), answer, cast(ModelClient, None))


def own_scorer(name: str) -> Scorer:
    module: dict[str, Callable[..., object]] = {}
    (code,) = [text for language, text in BLOCKS if language == "python" and f"def {name}(" in text]
    exec(code, module)
    return guard_scorer(module[name], name)


def calls(*names: str) -> Sequence[ToolCall]:
    return [{"id": "1", "type": "function", "function": {"name": name, "arguments": "{}"}} for name in names]


@pytest.mark.parametrize(("setting", "target", "answer", "grade", "value"), EXAMPLES)
async def test_every_example_of_a_scorer_is_graded_as_the_document_says(
    setting: str, target: str, answer: str, grade: str, value: str
) -> None:
    scorer = build_scorer(spelt_out(yaml.safe_load(setting)))
    score = await graded(scorer, orch.Answer(answer), yaml.safe_load(target))
    assert (score.grade, score.value) == (grade, float(value) if value else float(grade == "full"))


def test_every_scorer_with_its_keys_is_in_the_document() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|([^|]*)\| [A-Z]", TEXT, re.MULTILINE))
    for name, (options, _) in SCORERS.items():
        keys = {field.alias or key for key, field in options.model_fields.items()} - {"name"}
        assert keys == set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", rows[name]))), name


def test_the_settings_of_the_document_are_valid() -> None:
    for document in [yaml.safe_load(text) for language, text in BLOCKS if language == "yaml"]:
        for entry in document["tasks"]:
            setting = TaskFileConfig.model_validate(entry).scorer
            assert setting is not None
            build_scorer(spelt_out(setting))
        assert RunConfig.model_validate(document.get("run", {})).scorer == "includes"
        ScoringConfig.model_validate(document.get("scoring", {}))


def test_the_columns_of_the_document_are_those_that_are_recognised() -> None:
    rows = dict(re.findall(r"^\| (question|target|options of multiple choice) \| (.*) \|$", TEXT, re.MULTILINE))
    for field, title in {"input": "question", "target": "target", "choices": "options of multiple choice"}.items():
        assert tuple(re.findall(r"`(\w+)`", rows[title].partition(", or")[0])) == DEFAULT_COLUMNS[field]


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_the_attributes_of_the_document_are_there(name: str) -> None:
    (row,) = re.findall(rf"^\| `?{re.escape(name)}`? \| (.*) \|$", TEXT, re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", re.sub(r"\([^()]*\)", "", row)))
    assert named
    assert named <= {field.name for field in fields(ATTRIBUTES[name])}


async def test_the_own_scorer_of_the_document() -> None:
    scorer = own_scorer("grade")
    right, wrong = [await graded(scorer, orch.Answer(text), "7") for text in ("it is 7", "8")]
    assert (right.grade, right.details, right.values) == ("full", {"words": 3}, {"brevity": 1 / 3})
    assert (wrong.grade, wrong.error_class) == ("failed", "not_named")
    assert (await graded(scorer, orch.Answer("7"))).grade == "ungraded"


@pytest.mark.parametrize(
    ("made", "text", "grade"),
    [
        (["reader", "parser", "file_writer"], "", "full"),
        (["reader", "search", "parser", "file_writer"], "", "full"),
        (["parser", "reader", "file_writer"], "", "partial"),
        (["reader", "parser"], "", "partial"),
        (["reader"], "All steps are completed.", "failed"),
        ([], "", "failed"),
    ],
)
async def test_the_partial_credit_of_the_document(made: Sequence[str], text: str, grade: str) -> None:
    answer = orch.Answer(text, tool_calls=calls(*made))
    score = await graded(own_scorer("workflow"), answer, required_tools=["reader", "parser", "file_writer"])
    assert score.grade == grade
