"""BFCL files: two joined by id, schemas and names translated, mistakes named with file and line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from providers.errors import InputError
from sharding.tasks.formats.bfcl_rows import json_schema
from sharding.tasks.sources import SourceSpec, open_tasks

FUNCTION = {
    "name": "math.add",
    "description": "Add.",
    "parameters": {
        "type": "dict",
        "properties": {
            "x": {"type": "float", "optional": True},
            "type": {"type": "any", "description": "kind"},
            "at": {"type": "tuple", "items": {"type": "float"}},
        },
        "required": ["x"],
    },
}
ROW = {"id": "simple_python_0", "question": [[{"role": "user", "content": "1 + 1?"}]], "function": [FUNCTION]}
TRUTH = {"id": "simple_python_0", "ground_truth": [{"math.add": {"x": [1.0], "type": ["", 3]}}]}


def written(folder: Path, questions: list[Mapping[str, Any]], answers: list[Mapping[str, Any]]) -> SourceSpec:
    for name, rows in (("q.jsonl", questions), ("q_answers.jsonl", answers)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return SourceSpec(folder / "q.jsonl", reader="bfcl")


def test_a_row_becomes_messages_tools_and_expected_calls(tmp_path: Path) -> None:
    other = {**ROW, "id": "parallel_7"}
    tasks = open_tasks([written(tmp_path, [other, ROW], [TRUTH, {**TRUTH, "id": "parallel_7"}])])
    assert [tasks[n].task_id for n in range(2)] == ["parallel_7", "simple_python_0"]
    assert [kind for kind, _ in tasks.kinds()] == ["parallel", "simple_python"]
    task = tasks[1]
    assert task.messages == ({"role": "user", "content": "1 + 1?"},)
    assert task.target == {"calls": [{"name": "math.add", "arguments": {"x": [1.0], "type": ["", 3]}}], "order": "any"}
    (tool,) = task.tools
    assert tool["function"] == {
        "name": "math.add",
        "description": "Add.",
        "parameters": {
            "type": "object",
            "properties": {
                "x": {"type": "number"},
                "type": {"description": "kind"},
                "at": {"type": "array", "items": {"type": "number"}},
            },
            "required": ["x"],
        },
    }
    tasks.close()


def test_the_answers_are_part_of_what_a_task_set_is(tmp_path: Path) -> None:
    before = open_tasks([written(tmp_path, [ROW], [TRUTH])]).fingerprint
    changed = {**TRUTH, "ground_truth": [{"math.add": {"x": [2.0]}}]}
    assert open_tasks([written(tmp_path, [ROW], [changed])]).fingerprint != before


def test_what_is_json_schema_already_stays_as_it_is() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer", "default": 1}}, "required": []}
    assert json_schema(schema) == schema


@pytest.mark.parametrize(
    ("row", "truth", "says"),
    [
        ({**ROW, "id": "x_1"}, TRUTH, r"q.jsonl, line 1: no answer has its id 'x_1'"),
        ({**ROW, "question": [[], []]}, TRUTH, r"q.jsonl, line 1: question is not a list of one turn"),
        ({**ROW, "function": {}}, TRUTH, r"q.jsonl, line 1: function is not a list of objects"),
        ({**ROW, "function": [{}]}, TRUTH, r"q.jsonl, line 1: a function's name is not a text"),
        ({**ROW, "question": [[{"role": "boss"}]]}, TRUTH, r"q.jsonl, line 1: message 1 has the role 'boss'"),
        (ROW, {**TRUTH, "ground_truth": 1}, r"q_answers.jsonl, line 1: has no list ground_truth"),
        (ROW, {**TRUTH, "ground_truth": [{"f": {}}]}, r"q.jsonl, line 1: the expected call f is none of its functions"),
        (ROW, {**TRUTH, "ground_truth": [{}]}, r"q.jsonl, line 1: an expected call is not one name with its arguments"),
    ],
)
def test_a_row_of_another_shape_is_named(tmp_path: Path, row: dict[str, Any], truth: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        open_tasks([written(tmp_path, [row], [truth])])
    assert says in str(caught.value)


def test_a_file_without_its_answers_says_where_they_belong(tmp_path: Path) -> None:
    spec = written(tmp_path, [ROW], [TRUTH])
    with pytest.raises(InputError, match=r"q_answers\.jsonl: holds answers, not tasks"):
        open_tasks([SourceSpec(tmp_path / "q_answers.jsonl", reader="bfcl")])
    (tmp_path / "q_answers.jsonl").unlink()
    with pytest.raises(InputError, match=r"the answers are missing; put them into q_answers\.jsonl in the same folder"):
        open_tasks([spec])
