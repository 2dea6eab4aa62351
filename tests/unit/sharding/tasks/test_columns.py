from __future__ import annotations

import json

import pytest

from providers.errors import InputError
from providers.messages import JSON
from sharding.tasks.columns import KEPT_LAYOUTS, Columns
from sharding.tasks.field_values import FieldValue
from sharding.tasks.task import Task


def task_of(row: dict[str, JSON], **fields: FieldValue) -> Task:
    return Columns(fields).task(row, "tasks-1")


def reason_of(row: dict[str, JSON], **fields: str) -> str:
    with pytest.raises(InputError) as caught:
        task_of(row, **fields)
    return str(caught.value)


def user(text: str) -> dict[str, JSON]:
    return {"role": "user", "content": text}


def test_our_own_names_are_read_without_fields() -> None:
    tool: dict[str, JSON] = {"type": "function", "function": {"name": "add"}}
    row: dict[str, JSON] = {
        "id": 7,
        "messages": [user("2 + 2?")],
        "target": [4],
        "tools": [tool],
        "task_type": "sum",
        "difficulty": 3,
        "family": "sums",
        "metadata": {"source": "me"},
        "notes": "ignored",
    }
    assert task_of(row) == Task("7", (user("2 + 2?"),), [4], (tool,), "sum", "3", "sums", {"source": "me"})


@pytest.mark.parametrize("column", ["input", "question", "prompt"])
def test_usual_names_of_the_input_become_one_user_message(column: str) -> None:
    assert task_of({column: "hi", "answer": "there"}) == Task("tasks-1", (user("hi"),), "there")


@pytest.mark.parametrize("column", ["id", "task_id", "custom_id"])
def test_usual_names_of_the_id_are_read(column: str) -> None:
    assert task_of({column: "a", "input": "hi"}).task_id == "a"


def test_fields_map_our_names_to_theirs() -> None:
    row: dict[str, JSON] = {"q": "hi", "gold": 1, "level": "hard", "prompt": "something else", "uid": "u"}
    task = task_of(row, input="q", target="gold", difficulty="level", id="uid")
    assert task == Task("u", (user("hi"),), 1, difficulty="hard")


@pytest.mark.parametrize(
    ("fields", "task_id"),
    [
        ({"id": "{n}.{difficulty}", "difficulty": {"const": "easy"}}, "7.easy"),
        ({"id": "{n}.{difficulty}", "difficulty": "how.hard"}, "7.3"),
        ({"id": "{n}.{level}", "difficulty": {"const": "easy"}}, "7.own"),
        ({"id": "{n}.{family}", "family": {"column": "none", "if_empty": "new"}}, "7.new"),
    ],
)
def test_a_composition_may_name_another_field_where_the_file_has_no_such_column(
    fields: dict[str, FieldValue], task_id: str
) -> None:
    row: dict[str, JSON] = {"input": "hi", "n": 7, "level": "own", "how": {"hard": 3}, "none": None}
    assert task_of(row, **fields).task_id == task_id


@pytest.mark.parametrize("empty", [None, "", " ", [], float("nan"), {"text": [], "answer_start": []}])
def test_a_value_stands_for_an_empty_column(empty: JSON) -> None:
    setting: FieldValue = {"column": "answers", "if_empty": "unanswerable"}
    assert task_of({"input": "hi", "answers": empty}, target=setting).target == "unanswerable"
    assert task_of({"input": "hi", "answers": ["a"]}, target=setting).target == ["a"]
    assert task_of({"input": "hi"}, target=setting).target == "unanswerable"


def test_a_column_with_a_value_where_it_is_empty_must_be_in_one_row() -> None:
    setting: FieldValue = {"column": "answres", "if_empty": "unanswerable"}
    columns = Columns({"target": setting})
    columns.fields({"input": "hi", "answers": "a"}, "1")
    with pytest.raises(InputError, match='has no column "answres" \\(fields: target\\); did you mean "answers"'):
        columns.refuse_unfound()
    columns.fields({"input": "hi", "answres": "a"}, "2")
    columns.refuse_unfound()


def test_a_system_column_becomes_the_first_message() -> None:
    task = task_of({"input": "hi", "system": "Be brief."})
    assert task.messages == ({"role": "system", "content": "Be brief."}, user("hi"))


def test_nested_values_may_be_json_text() -> None:
    row: dict[str, JSON] = {
        "messages": json.dumps([user("hi")]),
        "tools": '[{"type": "function"}]',
        "metadata": '{"a": 1}',
    }
    task = task_of(row)
    assert (task.messages, task.tools, task.metadata) == ((user("hi"),), ({"type": "function"},), {"a": 1})


def test_a_batch_line_gives_its_messages_and_keeps_the_rest_of_the_body() -> None:
    body: JSON = {"model": "m", "messages": [user("hi")], "tools": [{"type": "function"}], "max_tokens": 5}
    task = task_of({"custom_id": "r1", "method": "POST", "url": "/v1/chat/completions", "body": body})
    assert (task.task_id, task.messages, task.tools) == ("r1", (user("hi"),), ({"type": "function"},))
    assert task.metadata == {"body": {"model": "m", "max_tokens": 5}}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            {"text": "hi"},
            "has no input or question or prompt or messages (its columns: text); name the column with fields",
        ),
        (
            {"input": "hi", "messages": [{"role": "user", "content": "hi"}]},
            "has both input and messages; name the one that holds the task",
        ),
        ({"input": 3}, "input must be text"),
        ({"messages": []}, "messages must be a list of at least one object"),
        ({"messages": "[{"}, "messages is not valid JSON"),
        ({"messages": ["hi"]}, "message 1 is not an object"),
        (
            {"messages": [{"role": "human", "content": "hi"}]},
            "message 1 has the role 'human', which is none of assistant",
        ),
        ({"messages": [{"role": "user"}]}, "message 1 has a content that is neither text nor a list of parts"),
        ({"input": "hi", "tools": {"a": 1}}, "tools must be a list of objects"),
        ({"input": "hi", "tools": ["add"]}, "tools must be a list of objects"),
        (
            {"input": "hi", "tools": [{"name": "a", "parameters": {"city": "text"}}]},
            "the parameters of a are no JSON schema",
        ),
        (
            {"input": "hi", "tools": [{"function": {"name": "a", "parameters": "{}"}}]},
            "the parameters of a must be a JSON schema",
        ),
        ({"input": "hi", "metadata": [1]}, "metadata must be an object"),
        ({"input": "hi", "system": 1}, "system must be text"),
        ({"input": "hi", "id": ""}, "id must be a short text or a number"),
        ({"input": "hi", "difficulty": ["easy"]}, "difficulty must be a short text or a number"),
        ({"custom_id": "a", "body": {"input": "embed me"}}, "body has no messages"),
    ],
)
def test_a_row_that_is_no_task_says_why(row: dict[str, JSON], reason: str) -> None:
    assert reason in reason_of(row)


def test_a_mapped_column_that_a_row_lacks_is_a_misspelling() -> None:
    reason = reason_of({"input": "hi", "answer": "x"}, target="anwser")
    assert reason.startswith('has no column "anwser" (fields: target); did you mean "answer"?')


def test_a_target_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(InputError, match="target is a bytes, which JSON cannot hold"):
        Columns({}).task({"input": "hi", "target": b"x"}, "a")


def test_an_assistant_message_may_hold_tool_calls_alone() -> None:
    call: dict[str, JSON] = {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]}
    answer: dict[str, JSON] = {"role": "tool", "tool_call_id": "c", "content": "4"}
    assert task_of({"messages": [user("2 + 2?"), call, answer]}).messages == (user("2 + 2?"), call, answer)


def test_the_columns_of_one_row_do_not_decide_how_the_next_is_read() -> None:
    columns = Columns({"difficulty": "level"})
    rows: list[dict[str, JSON]] = [
        {"id": "a", "question": "q", "answer": 1, "level": "easy"},
        {"task_id": "b", "prompt": "p", "target": 2, "level": None},
        {"id": None, "question": "q", "prompt": "not this", "answer": None, "target": 3, "level": 5},
        {"id": "a", "question": "q", "answer": 1, "level": "easy"},
    ]
    tasks = [columns.task(row, "none") for row in rows]
    assert [task.task_id for task in tasks] == ["a", "b", "none", "a"]
    assert [task.messages[0]["content"] for task in tasks] == ["q", "p", "q", "q"]
    assert [task.target for task in tasks] == [1, 2, 3, 1]
    assert [task.difficulty for task in tasks] == ["easy", "default", "5", "easy"]
    with pytest.raises(InputError, match="level"):
        columns.task({"id": "a", "question": "q"}, "none")


def test_rows_of_ever_new_columns_do_not_fill_the_memory() -> None:
    columns = Columns({})
    for number in range(200):
        assert columns.task({"id": "a", "question": "q", f"column {number}": 1}, "none").task_id == "a"
    assert len(columns._layouts) == KEPT_LAYOUTS


def test_text_that_json_cannot_hold_is_refused_in_a_question() -> None:
    with pytest.raises(InputError, match="messages holds what JSON cannot"):
        Columns({}).task({"question": "half of a pair: \ud83d"}, "none")
