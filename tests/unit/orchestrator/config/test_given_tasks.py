"""Tasks from Python are written to a file named after their content."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from orchestrator.config.given_tasks import write_given_tasks
from providers.errors import InputError
from sharding.tasks.sources import SourceSpec, open_tasks

ROWS: list[dict[str, Any]] = [{"question": f"q{n}", "answer": n, "choices": ["a", "b"]} for n in range(3)]


@pytest.mark.parametrize(
    "given", [ROWS, pd.DataFrame(ROWS), pl.DataFrame(ROWS), pa.Table.from_pylist(ROWS), tuple(ROWS)]
)
def test_rows_of_any_kind_become_a_file_with_the_entrys_fields(tmp_path: Path, given: object) -> None:
    raw: dict[str, Any] = {"tasks": [{"path": "old.jsonl", "scorer": "exact"}], "run": {"output_dir": str(tmp_path)}}
    write_given_tasks(raw, given)
    (entry,) = raw["tasks"]
    assert entry["scorer"] == "exact"
    pool = open_tasks([SourceSpec(Path(entry["path"]))])
    assert [pool[n].columns for n in range(3)] == ROWS
    pool.close()
    again: dict[str, Any] = {"tasks": [{"path": given}], "run": {"output_dir": str(tmp_path)}}
    write_given_tasks(again, None)
    assert again["tasks"][0]["path"] == entry["path"]
    assert len(list((tmp_path / "tasks").iterdir())) == 1


def test_numbers_from_python_keep_every_digit(tmp_path: Path) -> None:
    raw: dict[str, Any] = {"run": {"output_dir": str(tmp_path)}}
    write_given_tasks(raw, [{"id": 10**22 + 1, "input": "?", "target": Decimal("1.10")}])
    pool = open_tasks([SourceSpec(Path(raw["tasks"][0]["path"]))])
    assert (pool[0].task_id, pool[0].target) == ("10000000000000000000001", "1.10")
    pool.close()


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([1], "tasks[0] is int, not a dict of columns"),
        (
            {"test": []},
            "tasks must be a list of dicts, a DataFrame or a data set, not dict; of several splits name one",
        ),
        ([{"input": object()}], "tasks[0] holds what JSON cannot"),
        (pd.DataFrame({"input": ["a", 1]}), "the DataFrame has a column with values of several types"),
        (["a.jsonl"], "tasks: path is one file, pattern or folder; write an entry for each"),
    ],
)
def test_what_is_no_task_is_told(tmp_path: Path, given: object, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        write_given_tasks({"run": {"output_dir": str(tmp_path)}}, given)
    assert reason in str(caught.value)


def test_fields_from_python_add_to_those_of_the_one_entry(tmp_path: Path) -> None:
    output = {"output_dir": str(tmp_path)}
    raw: dict[str, Any] = {"tasks": [{"path": "a", "fields": {"input": "q", "target": "a"}}], "run": output}
    write_given_tasks(raw, ROWS, {"input": "question", "difficulty": {"const": "easy"}})
    assert raw["tasks"][0]["fields"] == {"input": "question", "target": "a", "difficulty": {"const": "easy"}}
    with pytest.raises(InputError, match="fields= is for the one entry under `tasks`"):
        write_given_tasks({"tasks": [{"path": "a"}, {"path": "b"}]}, None, {"input": "question"})


class Saved:
    """What a data set of Hugging Face shows of itself: a format, and its rows by a slice."""

    column_names = ("question", "answer", "choices")

    def with_format(self, kind: str) -> pa.Table:
        assert kind == "arrow"
        return pa.Table.from_pylist(ROWS)

    def __len__(self) -> int:
        return len(ROWS)


class Streamed:
    """What a streamed data set of Hugging Face shows of itself: rows, one after another."""

    def with_format(self, kind: str) -> Streamed:
        raise AssertionError(kind)

    def __getitem__(self, column: str) -> object:
        raise AssertionError(column)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield from ROWS


@pytest.mark.parametrize("given", [Saved(), Streamed()])
def test_a_data_set_of_hugging_face_is_read_whole_or_row_by_row(tmp_path: Path, given: object) -> None:
    raw: dict[str, Any] = {"run": {"output_dir": str(tmp_path)}}
    write_given_tasks(raw, given)
    pool = open_tasks([SourceSpec(Path(raw["tasks"][0]["path"]))])
    assert [pool[n].columns for n in range(3)] == ROWS
    pool.close()
