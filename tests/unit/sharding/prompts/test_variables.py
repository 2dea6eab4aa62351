"""Columns in prompts, and examples before the question."""

from __future__ import annotations

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
        ("{choices:numbers}", "1. 3\n2. 4"),
        ("{choices:bullets}", "- 3\n- 4"),
        ("{choices}", '["3","4"]'),
        ("{answer.text} {answer.all.1} {n} {flag} {a b}", "4 5 3 true spaced"),
        ("{target} {id} {difficulty} {n}", "4 t default 3"),
        ('{{n}} \\boxed{n} {} {"n": 1} {n}', '{n} \\boxed{n} {} {"n": 1} 3'),
    ],
)
def test_a_column_is_a_variable(text: str, shown: str) -> None:
    assert user_text(user=text) == shown


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
