"""Columns in prompts, and examples before the question."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from providers.errors import InputError
from providers.messages import JSON
from sharding.prompts.templates import PromptTemplate, load_prompt_types
from sharding.tasks.task import Task

COLUMNS: dict[str, JSON] = {
    "question": "2 + {x}?",
    "subject": "sums",
    "answer": {"text": "4", "all": [4, 5]},
    "choices": ["3", "4"],
    "arc": {"text": ["a", "b"], "label": ["1", "2"]},
    "map": {"A": "a", "B": "b"},
    "asText": '["x", "y"]',
    "asPython": """['it\\'s', "y", 'z']""",
    "asArray": "['a' 'b']",
    "n": 3,
    "flag": True,
    "a b": "spaced",
}
TASK = Task("t", ({"role": "user", "content": "2 + {x}?"},), target="4", columns=COLUMNS)


def template(**texts: Any) -> PromptTemplate:
    return load_prompt_types(["p"], {"p": texts}, lambda _path: ROWS, Path())["p"]


def user_text(**texts: Any) -> JSON:
    return template(**texts).apply(TASK).messages[-1]["content"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{subject}: {input}", "sums: 2 + {x}?"),
        ("{question}", "2 + {x}?"),
        ("{choices:letters}", "A. 3\nB. 4"),
        ("{arc:letters}", "1. a\n2. b"),
        ("{map:letters}", "A. a\nB. b"),
        ("{asText:letters}", "A. x\nB. y"),
        ("{asPython:letters}", "A. it's\nB. y\nC. z"),
        ("{choices:numbers}", "1. 3\n2. 4"),
        ("{choices:bullets}", "- 3\n- 4"),
        ("{choices}", '["3","4"]'),
        ("{answer.text} {answer.all.1} {n} {flag} {a b}", "4 5 3 true spaced"),
        ("{target} {id} {difficulty} {n}", "4 t default 3"),
        ('{{n}} \\boxed{n} {} {"n": 1} {n}', '{n} \\boxed{n} {} {"n": 1} 3'),
        (
            "\\frac{n}{flag} \\sqrt[3]{n} \\frac{\\sqrt{n}}{n} {n}",
            "\\frac{n}{flag} \\sqrt[3]{n} \\frac{\\sqrt{n}}{n} 3",
        ),
        ("\\text{{{subject}}} \\boxed{ {n} } x^{n}", "\\text{sums} \\boxed{ 3 } x^3"),
    ],
)
def test_a_column_is_a_variable(text: str, shown: str) -> None:
    assert user_text(user=text) == shown


@pytest.mark.parametrize(
    ("text", "remedies"),
    [
        ("{n} {{other}} \\boxed{other} \\text{{{n}}} {input}", []),
        ("{input} {{n}}", ["{n}"]),
        ("{{input}} {{ n }} { n } {n!r} {n|upper}", ["{input}", "{n}", "{n}", "{n}", "{n}"]),
        ("{input} \\text{n} \\frac{flag}{answer.text}", ["{{{n}}}", "{{{flag}}}", "{{{answer.text}}}"]),
    ],
)
def test_what_looks_like_a_column_and_is_not_shown_is_noted(text: str, remedies: list[str]) -> None:
    notes = template(user=text).notes(TASK)
    assert [note.split("write ")[1].removesuffix(" if it should").removesuffix(" there") for note in notes] == remedies


def test_the_text_of_an_array_is_refused_with_a_command_that_helps(tmp_path: Path) -> None:
    pandas, numpy = pytest.importorskip("pandas"), pytest.importorskip("numpy")
    with pytest.raises(InputError, match="neither JSON nor a Python list") as caught:
        user_text(user="{asArray:letters}")
    df = pandas.DataFrame({"question": ["?"], "choices": [numpy.array(["a", "b"], dtype=object)]})
    command = re.findall(r"df\..*\)", str(caught.value))[0].replace("tasks.jsonl", f"{tmp_path}/tasks.jsonl")
    eval(command, {"df": df})
    assert json.loads((tmp_path / "tasks.jsonl").read_text()) == {"question": "?", "choices": ["a", "b"]}


def test_images_stay_where_a_prompt_of_columns_replaces_the_text() -> None:
    image: JSON = {"type": "image_url", "image_url": {"url": "data:"}}
    content: JSON = [image, {"type": "text", "text": "what?"}]
    task = Task("t", ({"role": "user", "content": content},), columns=COLUMNS)
    assert template(user="{subject}").apply(task).messages[0]["content"] == [{"type": "text", "text": "sums"}, image]
    assert template(user="{subject} {input}").apply(task).messages[0]["content"] == [
        image,
        {"type": "text", "text": "sums what?"},
    ]


ROWS: list[dict[str, JSON]] = [
    {"question": "1 + 1?", "answer": "2", "subject": "sums"},
    {"question": "2 * 2?", "answer": "4", "subject": "products"},
    {"question": "1 + 2?", "answer": "3", "subject": "sums"},
]
EXAMPLE = {"path": "dev.jsonl", "user": "Q: {question} A: {answer}"}


def test_examples_stand_in_the_text() -> None:
    text = user_text(user="{examples}\n\nQ: {input}", examples={**EXAMPLE, "count": 2})
    assert text == "Q: 1 + 1? A: 2\n\nQ: 2 * 2? A: 4\n\nQ: 2 + {x}?"


def test_examples_of_the_tasks_subject_are_turns() -> None:
    settings = {"path": "dev.jsonl", "user": "{question}", "assistant": "{answer}", "match": "subject"}
    messages = template(system="S", user="{input}", examples=settings).apply(TASK).messages
    assert [message["content"] for message in messages] == ["S", "1 + 1?", "2", "1 + 2?", "3", "2 + {x}?"]


def test_a_task_is_never_its_own_example() -> None:
    task = Task("t", TASK.messages, columns=ROWS[0])
    text = template(user="{examples} {input}", examples=EXAMPLE).apply(task).messages[0]["content"]
    assert "1 + 1?" not in str(text)
    with_choices = replace(task, columns={**ROWS[0], "choices": ["from another column"]})
    assert template(user="{examples} {input}", examples=EXAMPLE).apply(with_choices).messages[0]["content"] == text


def test_a_row_with_the_same_question_and_other_choices_is_an_example() -> None:
    rows: list[dict[str, JSON]] = [
        {"question": "Which?", "choices": ["c", "d"]},
        {"question": "Which?", "choices": ["a", "b"]},
    ]
    examples = {"path": "dev.jsonl", "user": "{choices:json}"}
    task = Task("t", TASK.messages, columns=rows[1])
    texts = {"user": "{examples} {input}", "examples": examples}
    prompt = load_prompt_types(["p"], {"p": texts}, lambda _path: rows, Path())["p"]
    assert prompt.apply(task).messages[0]["content"] == '["c","d"] 2 + {x}?'


def test_examples_may_match_a_field_that_is_no_column() -> None:
    task = Task("t", TASK.messages, task_type="sums", columns={"question": "?"})
    rows: list[dict[str, JSON]] = [{"question": row["question"], "task_type": row["subject"]} for row in ROWS]
    examples = {"path": "dev.jsonl", "user": "{question}", "match": "task_type"}
    texts = {"user": "{examples} {input}", "examples": examples}
    prompt = load_prompt_types(["p"], {"p": texts}, lambda _path: rows, Path())["p"]
    assert prompt.apply(task).messages[0]["content"] == "1 + 1?\n\n1 + 2? 2 + {x}?"


def test_a_subject_without_examples_is_told() -> None:
    task = Task("t", TASK.messages, columns={"subject": "logic"})
    prompt = template(user="{examples} {input}", examples={**EXAMPLE, "match": "subject"})
    with pytest.raises(
        InputError, match=r'dev\.jsonl has no example with subject "logic"; add one, or leave out match'
    ):
        prompt.apply(task)


def test_the_digest_follows_the_examples() -> None:
    prompts = [template(user="{examples} {input}", examples={**EXAMPLE, "count": count}) for count in (1, 2)]
    assert prompts[0].digest != prompts[1].digest
