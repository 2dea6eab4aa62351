"""json_rows, csv_rows and offset_index, through the pool that reads them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pytest

from providers.errors import InputError
from sharding.tasks.sources import TaskPool

OpenText = Callable[..., TaskPool]


def texts(pool: TaskPool) -> list[object]:
    return [pool[row].messages[0]["content"] for row in range(len(pool))]


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n \n"])
def test_json_lines_may_have_blank_lines_any_line_end_and_a_byte_order_mark(open_text: OpenText, end: str) -> None:
    pool = open_text("a.jsonl", '\ufeff{"input": "é"}\r\n\n \n{"input": "b"}\n{"input": "c"}' + end)
    assert texts(pool) == ["é", "b", "c"]
    assert [pool.origin(row)[-6:] for row in range(3)] == ["line 1", "line 4", "line 5"]
    assert [pool[row].task_id for row in range(3)] == ["a-1", "a-2", "a-3"]


def test_json_lines_are_read_in_any_order(open_text: OpenText) -> None:
    pool = open_text("a.ndjson", "\n".join(json.dumps({"input": "x" * size}) for size in range(1, 500)))
    assert all(pool[row].messages[0]["content"] == "x" * (row + 1) for row in reversed(range(499)))


def test_a_json_array_is_read_by_element(open_text: OpenText) -> None:
    rows: list[dict[str, object]] = [
        {"input": 'brackets ] } , " é 漢'},
        {"input": "b", "metadata": {"deep": [{}]}},
        {"input": "c"},
    ]
    for content in (
        json.dumps(rows),
        json.dumps(rows, indent=2, ensure_ascii=False),
        "\ufeff " + json.dumps(rows) + "\n",
    ):
        pool = open_text("a.json", content)
        assert texts(pool) == [row["input"] for row in rows]
        assert pool[1].metadata == {"deep": [{}]}


def test_an_element_of_a_json_array_has_a_line(open_text: OpenText) -> None:
    with pytest.raises(InputError, match=r"a\.json, line 3: has no input"):
        open_text("a.json", '[{"input": "a"},\n {"input": "b"},\n {"text": "c"}]')


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"data": [{}]}', "is an object, not an array of objects; say where the array is, with rows: data"),
        ('[{"input": "a"}\n {"input": "b"}]', "line 2: not valid JSON \\(no comma or ] after an element\\)"),
        ('[{"input": "a"}', "no comma or ] after an element"),
        ('[{"input": "a"},\n {"input" "b"}]', "line 2: not valid JSON \\(Expecting ':' delimiter\\)"),
        ("[1]", "line 1: not a JSON object"),
        ("", "a .json task set must be one array of objects"),
    ],
)
def test_a_broken_json_array_says_where(open_text: OpenText, content: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        open_text("a.json", content)


def test_quoted_csv_fields_may_hold_newlines_quotes_and_commas(open_text: OpenText) -> None:
    expected = ["plain", "two\nlines", 'a "quoted", word', "line\r\nend", "separator \u2028 inside", 'inch 5"', "last"]
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([["id", "input"], *enumerate(expected)])
    content = buffer.getvalue().replace('"inch 5"""', 'inch 5"')
    pool = open_text("a.csv", "\ufeff" + content.replace("5,inch", "\r\n5,inch"))
    assert texts(pool) == expected
    assert [pool[row].task_id for row in range(7)] == ["0", "1", "2", "3", "4", "5", "6"]
    assert [pool.origin(row)[-7:] for row in (1, 2, 6)] == [" line 3", " line 5", "line 11"]


def test_a_prompt_in_csv_may_be_longer_than_the_parsers_default(open_text: OpenText) -> None:
    pool = open_text("a.csv", f"input\n{'x' * 200_000}\nshort\n")
    assert texts(pool) == ["x" * 200_000, "short"]


def test_empty_csv_fields_are_null_and_nested_ones_json(open_text: OpenText) -> None:
    messages = '"[{""role"": ""user"", ""content"": ""hi""}]"'
    pool = open_text("a.csv", f"input,messages,target,difficulty\n,{messages},,\nhello,,4,easy\n")
    assert texts(pool) == ["hi", "hello"]
    assert [(pool[row].target, pool[row].difficulty) for row in range(2)] == [(None, "default"), ("4", "easy")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('id,input\n1,"two\nlines"\n2\n', "line 4: has 1 fields where the header has 2; fix or remove the record"),
        ('input\nfine\n"never\nclosed\n', r"line 3: not valid CSV \(unexpected end of data\)"),
        ("input,input\na,b\n", "line 1: the header has two columns with the same name"),
        ("id,text\n1,a\n", r"line 2: has no input or question or prompt or messages \(its columns: id, text\)"),
    ],
)
def test_a_broken_csv_says_at_which_line_the_record_starts(open_text: OpenText, content: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        open_text("a.csv", content)


def test_a_mapped_column_must_be_in_the_csv_header(open_text: OpenText) -> None:
    with pytest.raises(InputError, match=r'line 1: the header has no column "questoin"; did you mean "question"\?'):
        open_text("a.csv", "question\nhi\n", input="questoin")
